"""`normlab models`."""

from __future__ import annotations

import json

import pytest
from cli_tools import normlab

from normlab.cli import app as root
from normlab.cli.app import Entry

PLUGIN = '''
from normlab.catalog.hookspecs import Model
from normlab.catalog.hookspecs import hookimpl

def mine(sites, shape, classes, *, depth: int, bias: bool = True):
    """A network of one's own.

    Args:
        sites: Makes norms.
        shape: Shape of one example.
        classes: Number of outputs.
        depth: How deep it is.
        bias: Whether it has biases.
    """

def bare(sites, shape, classes):
    """A network without parameters."""

@hookimpl
def normlab_models():
    yield Model("mine", mine, summary="a network of one's own", paper="arXiv:0000.00000")
    yield Model("bare", bare)
'''


@pytest.fixture(autouse=True)
def command(monkeypatch):
    monkeypatch.setitem(root.COMMANDS, "models", Entry("normlab.cli.models:models", "List networks, or show one"))


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN, encoding="utf-8")
    return str(file)


def test_list_has_a_line_for_each_network_with_its_origin(capsys, plugin):
    ended = normlab(capsys, "models", "--plugin", plugin)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name", "what", "paper", "from"]
    rows = {line.split()[0]: line for line in lines[1 : lines.index("")]}
    assert "multilayer perceptron" in rows["mlp"]
    assert "normlab" in rows["mlp"].split("  ")[-1]
    assert "arXiv:0000.00000" in rows["mine"]
    assert rows["mine"].endswith("mine.py")


def test_list_as_json_describes_each_network_in_full(capsys, plugin):
    ended = normlab(capsys, "models", "--json", "--plugin", plugin)
    found = {model["name"]: model for model in json.loads(ended.out)["models"]}
    described = {"description": "How deep it is.", "name": "depth", "required": True, "default": None, "type": "int"}
    assert found["mine"]["parameters"][0] == described
    start = next(each for each in found["mlp"]["parameters"] if each["name"] == "weight_initializer")
    assert (start["required"], start["default"]) == (False, "xavier")


def test_show_tells_what_there_is_to_choose(capsys):
    ended = normlab(capsys, "models", "show", "mlp")
    assert ended.out.startswith("mlp: multilayer perceptron\n")
    assert ended.out.splitlines()[-1] == "in a spec:  model: {name: mlp, hidden: [100, 100]}"
    assert "norm_position" in ended.out
    assert "xavier" in ended.out


def test_show_names_parameters_that_must_be_given(capsys, plugin):
    ended = normlab(capsys, "models", "show", "mine", "--plugin", plugin)
    assert "(required)" in ended.out
    assert "paper  arXiv:0000.00000" in ended.out
    assert ended.out.splitlines()[-1] == "in a spec:  model: {name: mine, depth: ...}"


def test_show_of_a_network_without_parameters_says_its_name_is_enough(capsys, plugin):
    ended = normlab(capsys, "models", "--plugin", plugin, "show", "bare")
    assert ended.out.splitlines()[-1] == "in a spec:  model: bare"
    assert "parameter " not in ended.out


def test_show_as_json_is_the_entry_of_the_list(capsys):
    shown = json.loads(normlab(capsys, "models", "show", "mlp", "--json").out)
    before = json.loads(normlab(capsys, "models", "--json", "show", "mlp").out)
    listed = json.loads(normlab(capsys, "models", "--json").out)["models"]
    assert shown == before
    assert shown in listed


def test_an_unknown_network_is_a_mistake_of_two(capsys):
    ended = normlab(capsys, "models", "show", "mlpp")
    assert ended.status == 2
    assert "unknown model 'mlpp'; did you mean 'mlp'?" in ended.err
    assert ended.out == ""


def test_a_plugin_that_is_not_there_is_told(capsys):
    ended = normlab(capsys, "models", "--plugin", "nowhere.py")
    assert ended.status == 4
    assert "nowhere.py" in ended.err
