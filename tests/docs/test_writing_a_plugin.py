"""What the pages for authors of plugins say is so: their code runs, and nothing is left out."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import fields

import pytest
from cli_tools import ROOT
from docs_support import PAGES, Reader, blocks, commands, matches
from plugin_support import write

from normlab import load_spec, run
from normlab.catalog import DataSource, Model, catalog, hookspecs
from normlab.catalog.loading import HOOKS
from normlab.catalog.plugin_record import ERRORS
from normlab.norms import ways as norm_ways
from normlab.norms.contract import Norm
from normlab.norms.ways import WAYS, NormLayer

TUTORIAL = PAGES / "writing-a-plugin.md"
HOOKS_PAGE = (PAGES / "hooks.md").read_text(encoding="utf-8")
BASES = {
    "layer": NormLayer,
    "weight": norm_ways.NormWeight,
    "residual": norm_ways.NormResidual,
    "initialize": norm_ways.NormInitialize,
    "gradient": norm_ways.NormGradient,
    "project": norm_ways.NormProject,
}


@pytest.mark.timeout(600)
def test_tutorial_does_what_it_says(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    reader = Reader(tmp_path)
    for block in blocks(TUTORIAL):
        reader.follow(block)


def test_tutorial_trains_three_methods_from_python():
    (block,) = [block for block in blocks(TUTORIAL) if block.language == "python" and not block.title]
    assert all(f'"{name}"' in block.text for name in ("none", "batch", "my_norm"))
    assert "print(" in block.text


def test_reader_notices_when_a_page_is_wrong(tmp_path):
    page = write(
        tmp_path / "page.md",
        '```python title="a.py"\nx = 1\n```\n\n```console\n$ cat a.py\nx = ...\n$ cat a.py\nx = 2\n```\n\n'
        '```python title="a.py"\nx = 2\n```\n\n```python\n1 / 0\n```\n',
    )
    good, console, other, fails = blocks(page)
    assert (good.line, console.line) == (1, 5)
    reader = Reader(tmp_path)
    reader.follow(good)
    for block, expected in ((console, "line 5: `cat a.py` gives"), (other, "line 12: a.py holds"), (fails, "ZeroDiv")):
        with pytest.raises(AssertionError, match=expected):
            reader.follow(block)


@pytest.mark.parametrize(
    ("shown", "given", "same"),
    [("a", "a\n", True), ("a", "b", False), ("a...c", "a\nb\nc", True), ("...", "", True), ("a.", "ab", False)],
)
def test_three_dots_stand_for_anything(shown, given, same):
    assert matches(shown, given) is same


def test_console_blocks_are_split_into_commands():
    (block, *_) = blocks(TUTORIAL)
    ((command, shown),) = commands(block)
    assert command == "normlab new my_norm"
    assert shown.startswith("wrote my_norm.py")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_on_the_page_with_its_signature(hook):
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"### `{hook}{signature}`\n\n{inspect.getdoc(getattr(hookspecs, hook)).splitlines()[0]}" in HOOKS_PAGE


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_registers_something(hook, tmp_path):
    examples = [b.text for b in blocks(PAGES / "hooks.md") if b.language == "python" and f"def {hook}()" in b.text]
    assert examples
    for number, text in enumerate(examples):
        found = catalog([write(tmp_path / f"example{number}.py", text)])
        found.require_explicit()
        assert [record.hooks for record in found.plugins if record.explicit] == [(hook,)]


@pytest.mark.parametrize("entry", [Norm, Model, DataSource])
def test_every_field_of_an_entry_is_on_the_page(entry):
    for field in fields(entry):
        assert f"\n| `{field.name}` | " in HOOKS_PAGE


INPUTS = {"layer": "x", "weight": "weight", "residual": "branch, shortcut"}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_on_the_page_with_what_its_class_has(way):
    base = BASES[way]
    does = "hybrid_forward" if hasattr(base, "hybrid_forward") else "__call__"
    arguments = ", ".join(
        # the base class takes any inputs; the page names those that the way gives
        {"inputs": INPUTS.get(way)}.get(parameter.name)
        or (f"**{parameter.name}" if parameter.kind is parameter.VAR_KEYWORD else parameter.name)
        for parameter in inspect.signature(getattr(base, does)).parameters.values()
    )
    assert f"\n| `{way}` | `{does}({arguments})` | " in HOOKS_PAGE
    assert f"class of the {way} way, derived from `{base.__name__}`" in HOOKS_PAGE


def test_every_status_is_on_the_page_with_its_error():
    for status in ("ok", "disabled"):
        assert f"\n| `{status}` | " in HOOKS_PAGE
    for status, error in ERRORS.items():
        (row,) = [line for line in HOOKS_PAGE.splitlines() if line.startswith(f"| `{status}` | ")]
        assert row.endswith(f"| `{error.__name__}` |")


def test_version_on_the_page_is_that_of_the_hooks():
    assert f"NORMLAB_HOOKS = {hookspecs.HOOKS_VERSION}\n" in HOOKS_PAGE
    assert f"The current version of the hooks is {hookspecs.HOOKS_VERSION}." in HOOKS_PAGE


def test_network_and_data_of_the_page_train_together(tmp_path):
    examples = [block.text for block in blocks(PAGES / "hooks.md") if "@hookimpl" in block.text]
    files = [write(tmp_path / f"example{number}.py", text) for number, text in enumerate(examples)]
    spec = write(
        tmp_path / "page.yaml",
        "dataset: stripes\nmodel: {name: tiny, units: 8}\nnorm: halve\noptimizer: {name: sgd, learning_rate: 0.5}\n"
        f"training: {{steps: 40, batch_size: 16}}\nevaluation: {{every: 40}}\nplugins: {files}\n",
    )
    assert run(load_spec(spec), out=tmp_path).accuracy("test")[-1] == 1
