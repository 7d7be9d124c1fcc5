"""The starter of each method in `configs/norms`: complete, up to date, and it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import normlab

from normlab import experiment
from normlab.catalog import catalog
from normlab.catalog.signature import describe
from normlab.cli.norm_spec import starter, write_all
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer
from normlab.spec import load_spec

FOLDER = Path(__file__).parents[2] / "configs" / "norms"
SHIPPED = {name: norm for name, norm in catalog().norms.entries.items() if norm.source.distribution == "normlab"}
QUICK = [
    # the data set that they name is the same in all, and takes longer to read than two steps
    "dataset={name: synthetic, shape: [1, 28, 28], classes: 10, train: 200, validation: 0, test: 50}",
    "training.steps=2",
    "training.batch_size=32",
    "evaluation.every=2",
    "evaluation.splits=[test]",
    "evaluation.batch_size=50",
    "device=cpu",
]

each_method = pytest.mark.parametrize("name", sorted(SHIPPED))


def test_there_is_one_for_each_method_and_no_other():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(SHIPPED)


@each_method
def test_it_is_as_normlab_writes_it_today(name):
    written = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert written == starter(SHIPPED[name]), "write them anew: make configs"


@each_method
def test_it_names_every_parameter(name):
    text = starter(SHIPPED[name])
    block = text[text.index("\nnorm:") :]
    for parameter in describe(SHIPPED[name].factories):
        assert f"{parameter.name}:" in block


@each_method
def test_it_trains(tmp_path, name):
    history = experiment.run(load_spec(FOLDER / f"{name}.yaml", QUICK), out=tmp_path)
    assert history.result.status == "completed"
    assert history.name == name


def test_all_name_the_data_set_of_the_main_experiment():
    assert {load_spec(file).dataset.name for file in FOLDER.glob("*.yaml")} == {"mnist"}


def test_the_command_prints_it(capsys):
    ended = normlab(capsys, "norms", "show", "layer", "--spec")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == starter(SHIPPED["layer"])


def test_writing_them_removes_those_of_methods_that_are_gone(tmp_path):
    (tmp_path / "gone.yaml").write_text("")
    write_all(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == set(SHIPPED)


def test_a_parameter_without_default_is_left_to_the_person():
    class Own(NormLayer):
        """Scale.

        Args:
            factor: What to multiply with.
        """

        def __init__(self, factor: float, **site):
            super().__init__(**site)

    text = starter(Norm("own", layer=Own))
    assert "  # What to multiply with. (float)\n  # factor: ...  # required\n" in text
