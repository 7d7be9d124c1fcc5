"""Filters of `normlab norms`, and the BibTeX that it prints."""

from __future__ import annotations

import json

import pytest
from cli_tools import normlab

from normlab.catalog import catalog
from normlab.cli.views.norm_details import bibtex, key
from normlab.norms.contract import Norm

ALL = catalog().norms.entries


def names(capsys, *options):
    ended = normlab(capsys, "norms", "--json", *options)
    assert (ended.status, ended.err) == (0, "")
    return {norm["name"] for norm in json.loads(ended.out)["norms"]}


def test_without_filters_all_are_listed(capsys):
    assert names(capsys) == set(ALL)


def test_by_whether_other_examples_matter_and_by_layout(capsys):
    found = names(capsys, "--depends-on-batch", "no", "--layout", "NC")
    assert {"none", "layer", "rms", "dyt"} <= found
    assert not {"batch", "batch_renorm", "instance", "weight_norm"} & found
    assert "instance" in names(capsys, "--depends-on-batch", "no", "--layout", "NCHW")
    both = names(capsys, "--layout", "NC", "--layout", "NCHW")
    assert both == names(capsys, "--layout", "NC") & names(capsys, "--layout", "NCHW")


def test_yes_and_no_share_all_methods_between_them(capsys):
    for option in ("--depends-on-batch", "--state"):
        yes, no = (names(capsys, option, choice) for choice in ("yes", "no"))
        assert yes | no == set(ALL)
        assert not yes & no
    assert {"batch", "batch_renorm"} <= names(capsys, "--state", "yes")
    assert {"layer", "weight_norm"} <= names(capsys, "--state", "no")


def test_by_family_and_way(capsys):
    assert names(capsys, "--family", "built_in") == {"none", "batch"}
    weights = names(capsys, "--family", "weights")
    assert "weight_norm" in weights
    assert weights <= names(capsys, "--way", "weight")
    assert names(capsys, "--family", "weights", "--family", "built_in") == weights | {"none", "batch"}
    assert "agc" in names(capsys, "--way", "gradient")
    assert "weight_norm" not in names(capsys, "--way", "gradient")


@pytest.mark.parametrize(
    ("years", "inside", "outside"),
    [
        ("2015", "batch", "layer"),
        ("2016..2018", "group", "batch"),
        ("2025..", "dyt", "batch"),
        ("..2015", "batch", "group"),
    ],
)
def test_by_year(capsys, years, inside, outside):
    found = names(capsys, "--year", years)
    assert inside in found
    assert outside not in found
    assert "none" not in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--family", "whitning"), "did you mean 'whitening'?"),
        (("--year", "soon"), "expected a year, or years such as 2018..2021"),
        (("--year", ".."), "expected a year"),
        (("--layout", "NHWC"), "NHWC"),
        (("--way", "wieght"), "wieght"),
    ],
)
def test_a_wrong_filter_is_the_persons_mistake(capsys, options, message):
    ended = normlab(capsys, "norms", *options)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err


def test_no_method_is_told_as_such(capsys):
    ended = normlab(capsys, "norms", "--year", "1901")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("no method is like that")


def test_a_plugins_own_family_is_where_it_comes_from(capsys, tmp_path):
    (tmp_path / "own.py").write_text(
        "from normlab import Norm, NormLayer, hookimpl\n"
        "class Own(NormLayer):\n    def __init__(self, needed: int, **site): super().__init__(**site)\n"
        "@hookimpl\ndef normlab_norms():\n    yield Norm('own', layer=Own)\n",
        encoding="utf-8",
    )
    plugin = ("--plugin", str(tmp_path / "own.py"))
    assert names(capsys, *plugin, "--family", "own.py") == {"own"}
    # it can't be made without its parameter, so nobody knows of a state
    assert "own" in names(capsys, *plugin, "--state", "no")


def test_citations_are_bibtex_with_one_entry_a_paper(capsys):
    ended = normlab(capsys, "norms", "--cite")
    assert (ended.status, ended.err) == (0, "")
    entries = ended.out.strip().split("\n\n")
    cited = [norm for norm in ALL.values() if norm.paper and norm.authors]
    assert len(entries) == len({key(norm) for norm in cited}) == len(cited)
    for entry in entries:
        assert entry.startswith("@")
        assert entry.endswith("\n}")
        assert entry.count("{") == entry.count("}")


def test_one_method_is_cited_by_show(capsys):
    out = normlab(capsys, "norms", "show", "batch", "--cite").out
    assert out == normlab(capsys, "norms", "--cite", "show", "batch").out
    assert out.startswith("@inproceedings{ioffe2015_batch,\n")
    for line in (
        "author = {Ioffe and Szegedy},",
        "year = {2015},",
        "eprint = {1502.03167},",
        "archiveprefix = {arXiv},",
    ):
        assert line in out
    assert "Accelerating Deep Network Training" in out


def test_what_bibtex_would_misread_is_escaped():
    norm = Norm("x", title="A & B_c 100%", authors="Doe et al.", paper="doi:10.1/x", year=2020)
    assert r"title = {{A \& B\_c 100\%}}," in bibtex(norm)
    assert "author = {Doe and others}," in bibtex(norm)
    assert "doi = {10.1/x}," in bibtex(norm)
    assert bibtex(norm).startswith("@misc{doe2020_x,")
    assert bibtex(Norm("none")) == ""
    assert "url = {https://example.org/p}," in bibtex(Norm("x", authors="Doe", paper="https://example.org/p"))


@pytest.mark.parametrize("name", sorted(name for name, norm in ALL.items() if norm.paper))
def test_every_shipped_method_says_what_its_paper_is_called(name):
    norm = ALL[name]
    assert norm.paper_title
    assert norm.authors
    assert norm.year
