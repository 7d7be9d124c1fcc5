"""`benchmarks/twenty_seeds.py`: means over seeds against the notebook's program."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def twenty_seeds(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("twenty_seeds")
    monkeypatch.setattr(module, "REFERENCE", tmp_path / "reference.json")
    return module


def results(accuracy, *, seeds=4, steps=(20, 40)):
    """Results of runs whose accuracies spread by 0.01 about `accuracy`."""
    return [
        {
            "framework": "abacus 1.0",
            "python": "3",
            "history": [
                {"step": step, "train_accuracy": accuracy + 0.01 * (seed % 2), "test_accuracy": accuracy}
                for step in steps
            ],
        }
        for seed in range(seeds)
    ]


def source(mean, sd, steps=(20, 40), what="theirs"):
    curve = {"mean": [mean] * len(steps), "sd": [sd] * len(steps)}
    variant = {"steps": list(steps), "train": curve, "test": curve}
    return {"what": what, "seeds": 4, "variants": {"mnist_bn": variant, "mnist_none": variant}}


def run(module, monkeypatch, reference, *arguments, accuracy=0.5):
    module.REFERENCE.write_text(json.dumps(reference))
    monkeypatch.setattr(sys, "argv", ["twenty_seeds.py", "--seeds", "4", *arguments])
    monkeypatch.setattr(module, "_run", lambda _options, _spec: results(accuracy))
    return module.main()


def test_distance_is_in_standard_errors_of_the_difference(twenty_seeds):
    ours, theirs = twenty_seeds.Point(0.93, 0.03, 9), twenty_seeds.Point(0.90, 0.04, 16)
    # sqrt(.03^2 / 9 + .04^2 / 16) = .01 sqrt 2
    assert twenty_seeds.Row(20, "train", ours, theirs).distance == pytest.approx(3 / 2**0.5)


def test_equal_means_without_spread_are_no_distance_apart(twenty_seeds):
    point = twenty_seeds.Point(0.5, 0.0, 4)
    assert twenty_seeds.Row(20, "train", point, point).distance == 0
    assert twenty_seeds.Row(20, "train", point, point._replace(mean=0.6)).distance == -float("inf")


def test_close_means_pass(twenty_seeds, monkeypatch, capsys):
    assert run(twenty_seeds, monkeypatch, {"first": source(0.501, 0.01)}) == 0
    assert capsys.readouterr().out.endswith("all within 3 standard errors\n")


def test_means_beyond_three_standard_errors_fail_and_are_counted(twenty_seeds, monkeypatch, capsys):
    assert run(twenty_seeds, monkeypatch, {"first": source(0.6, 0.01)}) == 1
    assert "8 differences above 3 standard errors" in capsys.readouterr().out


def test_steps_that_are_not_shown_count_and_the_worst_is_reported(twenty_seeds, monkeypatch, capsys):
    far = source(0.5, 0.01)
    far["variants"]["mnist_none"]["test"] = {"mean": [0.5, 0.55], "sd": [0.01, 0.01]}
    assert run(twenty_seeds, monkeypatch, {"first": far}) == 1
    assert (
        "| 40, the worst of the 2 others | test | 0.5000 ± 0.0000 | 0.5500 ± 0.0100 | -10.00 |"
        in capsys.readouterr().out
    )


def test_every_source_is_compared(twenty_seeds, monkeypatch, capsys):
    assert run(twenty_seeds, monkeypatch, {"first": source(0.5, 0.01), "second": source(0.7, 0.01, what="others")}) == 1
    assert "against others" in capsys.readouterr().out


def test_means_of_tensorflow_are_stored_beside_the_first_ones(twenty_seeds, monkeypatch):
    first = source(0.5, 0.01)
    assert run(twenty_seeds, monkeypatch, {"first": first}, "--tensorflow", "python", "--store") == 0
    stored = json.loads(twenty_seeds.REFERENCE.read_text())
    assert stored["first"] == first
    assert "abacus 1.0" in stored["tensorflow"]["what"]
    assert stored["tensorflow"]["variants"]["mnist_none"]["steps"] == [20, 40]
    assert stored["tensorflow"]["variants"]["mnist_bn"]["train"]["mean"] == [0.505, 0.505]
    assert run(twenty_seeds, monkeypatch, stored) == 0


def test_commands_carry_the_seed_and_the_variant(twenty_seeds):
    ours = twenty_seeds._command(None, "mnist_none", 7, "out")
    assert ours[1:4] == ["-m", "normlab", "run"]
    assert ours[4].endswith("mnist_none.yaml")
    assert ours[5:] == ["--seed", "7", "--json", "--out", "out"]
    theirs = twenty_seeds._command("python", "mnist_none", 7, "out")
    assert theirs[2:] == ["--variant", "none", "--seed", "7", "--json"]


@pytest.mark.parametrize("arguments", [["--store"], ["--seeds", "1"]])
def test_invalid_options_are_refused(twenty_seeds, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["twenty_seeds.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        twenty_seeds.main()


def test_shipped_reference_covers_every_evaluation_of_the_specs():
    reference = json.loads((BENCHMARKS / "notebook_reference.json").read_text())
    for variant in reference["tensorflow"]["variants"].values():
        assert variant["steps"] == list(range(20, 1001, 20))
        assert all(len(variant[split][name]) == 50 for split in ("train", "test") for name in ("mean", "sd"))
