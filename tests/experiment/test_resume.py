"""A run that is stopped, however it is, goes on with the bits of one that never was. `make torture` tries far more."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from torture_support import assert_kept, resuming, trials

from normlab import experiment
from normlab.errors import CheckpointError, Interrupted, StorageError
from normlab.experiment import session
from normlab.experiment.observer import Observer
from normlab.runs.checkpoint import Generations
from normlab.runs.directory import RunDirectory
from normlab.runs.history import History, Result
from normlab.runs.index import read_row
from normlab.runs.lock import locked

Asking, Watcher, differences, spec_of = trials.Asking, trials.Watcher, trials.differences, trials.spec_of

CASES = {
    **{name: resuming.optimizers()[name] for name in ("sgd with momentum", "adam", "ftml", "lamb")},
    "cosine": resuming.schedules()["cosine"],
    "batch_renorm": resuming.norms()["batch_renorm"],
    "spectral_norm": resuming.norms()["spectral_norm"],
}
OFTEN = "training={steps: 12, batch_size: 16, checkpoint_every: 3}"


@pytest.mark.parametrize("name", CASES)
def test_resumed_run_equals_uninterrupted_run(tmp_path, name):
    assert_kept(resuming.resume({name: CASES[name]}, tmp_path, name))


@pytest.mark.parametrize("name", ["dropout and noise", "augmentation", "imperative", "two devices"])
def test_whatever_draws_or_is_shared_is_resumed_too(tmp_path, name):
    assert_kept(resuming.resume({name: resuming.others(tmp_path / "plugin")[name]}, tmp_path, name))


def run_until(step, out, *settings):
    with pytest.raises(Interrupted) as caught:
        experiment.run(spec_of(*settings), out=out, observer=Asking(step))
    (directory,) = out.glob("small/*")
    return directory, caught.value


@pytest.mark.parametrize("step", [1, 4, 5, 12])
def test_interrupted_run_goes_on_at_its_step_whether_it_was_evaluated_or_not(tmp_path, step):
    whole = experiment.run(spec_of(), out=tmp_path / "whole")
    directory, error = run_until(step, tmp_path / "stopped")
    assert error.status == 130
    assert str(error).startswith(f"interrupted after step {step} of 12")
    assert History.load(directory).result.status == "interrupted"
    assert History.load(directory).result.steps == step
    watcher = Watcher()
    resumed = experiment.run(spec_of(), out=tmp_path / "stopped", observer=watcher)
    assert watcher.first_step == step
    assert watcher.warnings == []
    assert differences(whole, resumed) == []


def test_seconds_of_all_starts_are_added_up(tmp_path):
    directory, _ = run_until(8, tmp_path)
    first = History.load(directory).result
    second = experiment.run(spec_of(), out=tmp_path).result
    for name in ("seconds", "training_seconds", "evaluation_seconds"):
        assert 0 < getattr(first, name) < getattr(second, name)
    assert second.seconds >= second.training_seconds + second.evaluation_seconds


def test_checkpoints_are_no_part_of_a_runs_identity(tmp_path):
    seldom, often = (experiment.run(spec_of(*s), out=tmp_path) for s in ([], [OFTEN]))
    assert seldom.directory == often.directory
    assert [path.name for path in Generations(seldom.directory / "checkpoint").paths()] == ["000001"]


def test_two_checkpoints_are_kept_while_a_run_trains_and_the_last_when_it_ends(tmp_path):
    seen = []

    class Looking(Observer):
        def stepped(self, step):
            seen.append([path.name for path in generations().paths()])

    def generations():
        return Generations(next(tmp_path.glob("small/*")) / "checkpoint")

    experiment.run(spec_of(OFTEN), out=tmp_path, observer=Looking())
    assert max(map(len, seen)) == 2
    assert len(generations().paths()) == 1
    assert generations().newest().step == 12


def test_left_to_normlab_a_run_is_stored_when_time_has_passed(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "PAUSE", 0.0)
    monkeypatch.setattr(session, "SHARE", 1e9)
    _, starts = trials.killed_and_resumed(spec_of(), tmp_path, [11])
    assert starts[1] > 0


def test_left_to_normlab_a_short_run_is_stored_once(tmp_path):
    history = experiment.run(spec_of(), out=tmp_path)
    assert [path.name for path in Generations(history.directory / "checkpoint").paths()] == ["000001"]


def test_again_takes_nothing_up(tmp_path):
    run_until(8, tmp_path)
    watcher = Watcher()
    experiment.run(spec_of(), out=tmp_path, observer=watcher, again=True)
    assert watcher.first_step == 0


class Failing(Watcher):
    """Raises at a step, as a defective part does."""

    def stepped(self, step):
        if step == self.at:
            raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [(ZeroDivisionError("by zero"), "unexpected ZeroDivisionError: by zero"), (StorageError("no room"), "no room")],
)
def test_a_run_that_fails_says_so_in_its_result_and_is_taken_up_like_an_interrupted_one(tmp_path, error, message):
    whole = experiment.run(spec_of(OFTEN), out=tmp_path / "whole")
    watcher = Failing(8)
    watcher.error = error
    with pytest.raises(type(error)):
        experiment.run(spec_of(OFTEN), out=tmp_path / "failed", observer=watcher)
    (directory,) = (tmp_path / "failed").glob("small/*")
    result = History.load(directory).result
    assert (result.status, result.steps, result.message) == ("failed", 8, message)
    assert not result.is_last
    assert read_row(str(directory)).status == "failed"
    watcher = Watcher()
    assert differences(whole, experiment.run(spec_of(OFTEN), out=tmp_path / "failed", observer=watcher)) == []
    assert watcher.first_step == 6


def test_a_disk_without_room_for_the_result_does_not_hide_what_failed(tmp_path, monkeypatch):
    def no_room(*_):
        raise StorageError("no room")

    monkeypatch.setattr(Result, "save", no_room)
    watcher = Failing(8)
    watcher.error = ZeroDivisionError("by zero")
    with pytest.raises(ZeroDivisionError):
        experiment.run(spec_of(OFTEN), out=tmp_path, observer=watcher)


def test_again_that_is_interrupted_goes_on_with_its_own_checkpoint(tmp_path):
    experiment.run(spec_of(), out=tmp_path)
    with pytest.raises(Interrupted):
        experiment.run(spec_of(), out=tmp_path, observer=Asking(3), again=True)
    watcher = Watcher()
    experiment.run(spec_of(), out=tmp_path, observer=watcher)
    assert watcher.first_step == 3


def test_run_that_diverged_before_it_was_stored_as_such_is_still_diverged(tmp_path):
    settings = ["norm=none", "optimizer.learning_rate=1e30"]
    whole = experiment.run(spec_of(*settings), out=tmp_path / "whole")
    experiment.run(spec_of(*settings), out=tmp_path / "stopped")
    (result,) = tmp_path.glob("stopped/small/*/result.json")
    result.unlink()  # as if the process had died right before
    resumed = experiment.run(spec_of(*settings), out=tmp_path / "stopped")
    assert resumed.result.status == "diverged"
    assert differences(whole, resumed) == []


def test_changed_version_or_plugin_is_told(tmp_path):
    directory, _ = run_until(8, tmp_path)
    generations = Generations(directory / "checkpoint")
    old = generations.newest()
    generations.save(type(old)(**{**vars(old), "made_with": {**old.made_with, "numpy": "1.0"}}), keep=1)
    watcher = Watcher()
    experiment.run(spec_of(), out=tmp_path, observer=watcher)
    (warning,) = watcher.warnings
    assert "changed since step 8: numpy was 1.0; the last bits may differ" in warning


def test_checkpoint_of_another_run_is_refused(tmp_path):
    directory, _ = run_until(8, tmp_path / "a", "seed=1")
    other, _ = run_until(8, tmp_path / "b")
    shutil.rmtree(other / "checkpoint")
    shutil.copytree(directory / "checkpoint", other / "checkpoint")
    with pytest.raises(CheckpointError, match=r"checkpoint: of run [0-9a-f]{10}; expected .*--again"):
        experiment.run(spec_of(), out=tmp_path / "b")


@pytest.mark.parametrize(
    ("what", "change", "told"),
    [
        ("parameters", {"dense0.weight": None}, "parameter dense0.weight: not stored"),
        (
            "parameters",
            {"dense9.weight": np.zeros(3, np.float32)},
            "parameter dense9.weight: stored, but this run has none",
        ),
        (
            "parameters",
            {"dense0.weight": np.zeros((2, 2), np.float32)},
            r"float32 \(2, 2\) is stored; expected float32",
        ),
        ("parameters", {"dense1.bias": np.zeros(4)}, r"dense1.bias: float64 \(4,\) is stored; expected float32"),
        ("optimizer", {"extra/0": np.zeros(4, np.float32)}, "extra is stored, but this run has no such parameter"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused_with_what_to_do(tmp_path, what, change, told):
    directory, _ = run_until(8, tmp_path, "optimizer={name: adam}")
    generations = Generations(directory / "checkpoint")
    old = generations.newest()
    arrays = {name: value for name, value in {**getattr(old, what), **change}.items() if value is not None}
    generations.save(type(old)(**{**vars(old), what: arrays}), keep=1)
    with pytest.raises(CheckpointError, match=f"{told}.*use --again to start the run over") as caught:
        experiment.run(spec_of("optimizer={name: adam}"), out=tmp_path)
    assert caught.value.status == 6


def test_second_process_is_told_who_has_the_run(tmp_path):
    directory, _ = run_until(8, tmp_path)
    with locked(directory), pytest.raises(StorageError, match=r"in use by process \d+ on .*; expected one process"):
        experiment.run(spec_of(), out=tmp_path)


def test_run_that_another_process_ended_meanwhile_is_found(tmp_path, monkeypatch):
    experiment.run(spec_of(), out=tmp_path)
    answers = iter([None])  # as it was before the other one ended
    stored = RunDirectory.stored
    monkeypatch.setattr(RunDirectory, "stored", lambda run: next(answers, ...) and stored(run))
    watcher = Watcher()
    experiment.run(spec_of(), out=tmp_path, observer=watcher)
    assert watcher.first_step is None


def test_network_and_memory_are_counted(tmp_path):
    result = experiment.run(spec_of(), out=tmp_path).result
    assert result.network["parameters"] == 36 * 8 + 8 * 2 + 8 * 4 + 4
    assert result.network["peak_memory"] > 50e6
    data = json.loads(next(tmp_path.glob("small/*/result.json")).read_text())
    assert data["network"] == result.network
