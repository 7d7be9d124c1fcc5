from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from cli_tools import ROOT, environment

import normlab

#: The words of the command line and of plugins. A name may come; one that goes breaks somebody's program.
PROMISED = {
    "BatchLayer", "BatchNorm", "DataSource", "Dataset", "Graph", "History", "Initializer", "Model", "Norm",
    "NormGradient", "NormInitialize", "NormLayer", "NormProject",
    "NormResidual", "NormWeight", "NormlabError", "Observer", "Spec", "SpecError", "Split", "__version__",
    "compare", "hookimpl", "load_spec", "norm", "run",
}  # fmt: skip


def python(text):
    """What a new process prints for this program."""
    command = [sys.executable, "-c", text]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout


def test_public_names_are_those_promised_in_order():
    assert set(normlab.__all__) == PROMISED
    assert normlab.__all__ == sorted(normlab.__all__)


def test_dir_shows_the_public_names_alone():
    assert dir(normlab) == normlab.__all__


@pytest.mark.parametrize("name", sorted(PROMISED - {"__version__"}))
def test_public_name_is_that_of_its_home_and_documented(name):
    value = getattr(normlab, name)
    assert value is getattr(import_module(normlab._HOMES[name]), name)
    assert value.__doc__ or name == "Initializer"  # an alias of types has none


def test_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="module 'normlab' has no attribute 'rum'"):
        normlab.rum  # noqa: B018 - the access is the point


def test_import_loads_no_library():
    text = "import sys; before = set(sys.modules); import normlab; print(*sorted(set(sys.modules) - before))"
    loaded = {name.partition(".")[0] for name in python(text).split()}
    assert not loaded - set(sys.stdlib_module_names if sys.version_info >= (3, 10) else loaded) - {"normlab"}
    assert not loaded & {"mxnet", "gluoncv", "numpy", "pydantic", "yaml", "click", "pluggy"}


def test_import_costs_less_than_starting_python():
    # Both in one process, so that a busy machine slows both; the goal is 20 ms.
    text = (
        "import time, subprocess, sys\n"
        "begun = time.perf_counter(); import normlab; took = time.perf_counter() - begun\n"
        "begun = time.perf_counter(); subprocess.run([sys.executable, '-c', 'import re, enum, typing'])\n"
        "print(took / (time.perf_counter() - begun))"
    )
    assert min(float(python(text)) for _ in range(3)) < 1


@pytest.mark.parametrize(
    "first", ["import normlab.norm", "from normlab.norm import Norm", "normlab.Norm", "normlab.run"]
)
def test_norm_is_the_look_up_whatever_was_imported_before(first):
    assert python(f"import normlab\n{first}\nprint(normlab.norm('batch').name)") == "batch\n"


def test_norm_gives_a_method_by_name():
    assert normlab.norm("batch").name == "batch"


def test_norm_suggests_what_was_meant():
    with pytest.raises(normlab.NormlabError, match="unknown norm 'bacth'; did you mean 'batch'"):
        normlab.norm("bacth")


def test_norm_looks_into_plugin_files(tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from normlab import Norm, NormLayer, hookimpl\n"
        "class Mine(NormLayer):\n    '''Mine.'''\n    def hybrid_forward(self, F, x):\n        return x\n"
        "@hookimpl\ndef normlab_norms():\n    yield Norm('mine', layer=Mine)\n",
        encoding="utf-8",
    )
    assert normlab.norm("mine", [str(plugin)]).summary == "Mine."


def test_spec_trains_from_python_with_the_words_of_the_command_line(tmp_path):
    overrides = [
        "dataset={name: synthetic, shape: [1, 4, 4], train: 64, validation: 16, test: 32}",
        "training={steps: 4, batch_size: 16}",
        "evaluation.every=2",
    ]
    spec = normlab.load_spec(ROOT / "configs" / "mnist_bn.yaml", overrides, seed=1)
    history = normlab.run(spec, out=tmp_path)
    assert isinstance(history, normlab.History)
    assert history.steps == [2, 4]
    assert history.as_dict() == {"batch": {split: history.accuracy(split) for split in ("train", "test")}}
    assert (history.directory / "accuracy.svg").exists()


def test_example_of_the_docstring_uses_public_names_alone():
    used = {word.split("(")[0] for word in normlab.__doc__.replace("\n", " ").split("normlab.")[1:]}
    assert {name.split()[0].rstrip(",)") for name in used} <= PROMISED
