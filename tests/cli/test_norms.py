from __future__ import annotations

import json
from importlib import metadata

import pytest
from cli_tools import normlab

PLUGIN = '''
from typing import Optional
from normlab import Norm, NormLayer, hookimpl

class Mine(NormLayer):
    """Scale by a number.

    Args:
        factor: What to multiply with.
        bound: Where to stop, in units that need a rather long sentence to be explained, so that it has to be broken
            into several lines on a terminal of usual width.
    """
    depends_on_batch = True
    replaces_activation = True
    layouts = ("NC",)

    def __init__(self, factor: float, bound: Optional[int] = None, **site):
        super().__init__(**site)

@hookimpl
def normlab_norms():
    yield Norm(
        "mine", layer=Mine, formula="y = f x", authors="Doe", venue="Somewhere", year=2026, paper="arXiv:0000.00000",
        provenance="unconfirmed",
    )
'''


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN, encoding="utf-8")
    return str(file)


def test_list_has_a_line_for_each_method_with_its_origin(capsys):
    ended = normlab(capsys, "norms")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name", "year", "acts", "by", "what", "from"]
    names = [line.split()[0] for line in lines[1 : lines.index("")]]
    assert {"none", "batch"} <= set(names)
    batch = next(line for line in lines if line.startswith("batch "))
    assert "2015" in batch
    assert "normlab" in batch.split("  ")[-1]


def test_list_as_json_describes_each_method_in_full(capsys):
    ended = normlab(capsys, "norms", "--json")
    found = {norm["name"]: norm for norm in json.loads(ended.out)["norms"]}
    epsilon = next(each for each in found["batch"]["parameters"] if each["name"] == "epsilon")
    assert epsilon == {
        "name": "epsilon",
        "type": "float above 0",
        "required": False,
        "default": 1e-5,
        "description": "Added to the variance, inside the root.",
    }
    assert found["batch"]["source"]["distribution"] == "normlab"
    assert found["batch"]["source"]["file"].endswith("batch.py")


def test_card_shows_formula_paper_origin_and_parameters(capsys):
    ended = normlab(capsys, "norms", "show", "batch")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("batch: Batch normalization\n")
    for text in (
        "formula",
        "gamma (x - mean",
        "arXiv:1502.03167",
        "depends on the batch",
        "float above 0, default 1e-05",
    ):
        assert text in ended.out
    assert "in a spec:  norm: {name: batch, epsilon: 1e-05}" in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines() if not line.startswith("file "))


def test_card_of_a_plugin_tells_traits_and_required_parameters(capsys, plugin):
    out = normlab(capsys, "norms", "show", "mine", "--plugin", plugin).out
    assert "Doe, Somewhere, 2026: arXiv:0000.00000" in out
    assert "depends on the batch, replaces the activation, layouts NC, provenance" in out
    assert "  factor    float, required\n            What to multiply with.\n" in out
    assert "  bound     int | null, default null\n" in out
    assert plugin in out
    assert "norm: {name: mine, factor: ...}" in out


def test_card_as_json_is_the_entry_of_the_list(capsys):
    one = json.loads(normlab(capsys, "norms", "show", "none", "--json").out)
    listed = json.loads(normlab(capsys, "norms", "--json").out)["norms"]
    assert one in listed


def test_options_may_stand_before_show(capsys, plugin):
    after = normlab(capsys, "norms", "show", "mine", "--plugin", plugin, "--json")
    assert after.status == 0
    assert normlab(capsys, "norms", "--plugin", plugin, "--json", "show", "mine") == after


def test_unknown_name_is_answered_with_the_nearest(capsys):
    ended = normlab(capsys, "norms", "show", "bacth")
    assert (ended.status, ended.out) == (2, "")
    assert "did you mean 'batch'?" in ended.err
    assert len(ended.err.splitlines()) <= 5


def test_named_plugin_that_is_broken_is_refused(capsys, tmp_path):
    (tmp_path / "bad.py").write_text("raise RuntimeError('no')\n", encoding="utf-8")
    ended = normlab(capsys, "norms", "--plugin", str(tmp_path / "bad.py"))
    assert (ended.status, ended.out) == (4, "")
    assert "RuntimeError: no" in ended.err


def test_broken_installed_plugin_gives_one_warning(capsys, monkeypatch):
    point = metadata.EntryPoint("bad", "no_such_module_at_all", "normlab")
    monkeypatch.setattr("normlab.catalog.discovery._entry_points", lambda: [point])
    ended = normlab(capsys, "norms")
    assert ended.status == 0
    assert "batch" in ended.out
    assert ended.err.startswith("warning: plugin no_such_module_at_all: can't be imported: ")
    assert len(ended.err.splitlines()) == 1
    assert normlab(capsys, "norms", "--no-plugins") == (0, ended.out, "")


def test_bare_group_option_lists(capsys):
    assert normlab(capsys, "norms", "--no-plugins").out.startswith("name")
