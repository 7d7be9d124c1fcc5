"""A resumed run is bit-identical to an uninterrupted one; `make torture` tests far more cases."""

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

Interrupter, Recorder, spec_of = trials.Interrupter, trials.Recorder, trials.spec_of
find_differences = trials.find_differences

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
def test_resumed_run_with_random_draws_or_devices_equals_uninterrupted_run(tmp_path, name):
    assert_kept(resuming.resume({name: resuming.others(tmp_path / "plugin")[name]}, tmp_path, name))


def run_until(step, out, *settings):
    with pytest.raises(Interrupted) as caught:
        experiment.run(spec_of(*settings), out=out, observer=Interrupter(step))
    (directory,) = out.glob("small/*")
    return directory, caught.value


@pytest.mark.parametrize("step", [1, 4, 5, 12])
def test_interrupted_run_resumes_at_its_step(tmp_path, step):
    whole = experiment.run(spec_of(), out=tmp_path / "whole")
    directory, error = run_until(step, tmp_path / "stopped")
    assert error.status == 130
    assert str(error).startswith(f"interrupted after step {step} of 12")
    assert History.load(directory).result.status == "interrupted"
    assert History.load(directory).result.steps == step
    recorder = Recorder()
    resumed = experiment.run(spec_of(), out=tmp_path / "stopped", observer=recorder)
    assert recorder.first_step == step
    assert recorder.warnings == []
    assert find_differences(whole, resumed) == []


def test_seconds_add_up_over_all_sessions(tmp_path):
    directory, _ = run_until(8, tmp_path)
    first = History.load(directory).result
    second = experiment.run(spec_of(), out=tmp_path).result
    for name in ("seconds", "training_seconds", "evaluation_seconds"):
        assert 0 < getattr(first, name) < getattr(second, name)
    assert second.seconds >= second.training_seconds + second.evaluation_seconds


def test_checkpoint_every_does_not_change_the_identity_of_a_run(tmp_path):
    rarely, often = (experiment.run(spec_of(*s), out=tmp_path) for s in ([], [OFTEN]))
    assert rarely.directory == often.directory
    assert [path.name for path in Generations(rarely.directory / "checkpoint").paths()] == ["000001"]


def test_run_keeps_two_checkpoints_during_training_and_one_at_the_end(tmp_path):
    seen = []

    class Lister(Observer):
        def stepped(self, step):
            seen.append([path.name for path in checkpoints().paths()])

    def checkpoints():
        return Generations(next(tmp_path.glob("small/*")) / "checkpoint")

    experiment.run(spec_of(OFTEN), out=tmp_path, observer=Lister())
    assert max(map(len, seen)) == 2
    assert len(checkpoints().paths()) == 1
    assert checkpoints().newest().step == 12


def test_without_checkpoint_every_a_checkpoint_is_stored_after_some_time(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(session, "CHECKPOINT_SHARE", 1e9)
    _, starts = trials.kill_and_resume(spec_of(), tmp_path, [11])
    assert starts[1] > 0


def test_without_checkpoint_every_a_short_run_is_stored_once(tmp_path):
    history = experiment.run(spec_of(), out=tmp_path)
    assert [path.name for path in Generations(history.directory / "checkpoint").paths()] == ["000001"]


def test_again_starts_over(tmp_path):
    run_until(8, tmp_path)
    recorder = Recorder()
    experiment.run(spec_of(), out=tmp_path, observer=recorder, again=True)
    assert recorder.first_step == 0


class Failing(Recorder):
    """Raises an error at a step, as a faulty part would."""

    def stepped(self, step):
        if step == self.at:
            raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [(ZeroDivisionError("by zero"), "unexpected ZeroDivisionError: by zero"), (StorageError("no room"), "no room")],
)
def test_failed_run_stores_its_error_and_can_be_resumed(tmp_path, error, message):
    whole = experiment.run(spec_of(OFTEN), out=tmp_path / "whole")
    recorder = Failing(8)
    recorder.error = error
    with pytest.raises(type(error)):
        experiment.run(spec_of(OFTEN), out=tmp_path / "failed", observer=recorder)
    (directory,) = (tmp_path / "failed").glob("small/*")
    result = History.load(directory).result
    assert (result.status, result.steps, result.message) == ("failed", 8, message)
    assert not result.is_last
    assert read_row(str(directory)).status == "failed"
    recorder = Recorder()
    assert find_differences(whole, experiment.run(spec_of(OFTEN), out=tmp_path / "failed", observer=recorder)) == []
    assert recorder.first_step == 6


def test_full_disk_does_not_hide_the_first_error(tmp_path, monkeypatch):
    def fail(*_):
        raise StorageError("no room")

    monkeypatch.setattr(Result, "save", fail)
    recorder = Failing(8)
    recorder.error = ZeroDivisionError("by zero")
    with pytest.raises(ZeroDivisionError):
        experiment.run(spec_of(OFTEN), out=tmp_path, observer=recorder)


def test_interrupted_again_resumes_from_its_own_checkpoint(tmp_path):
    experiment.run(spec_of(), out=tmp_path)
    with pytest.raises(Interrupted):
        experiment.run(spec_of(), out=tmp_path, observer=Interrupter(3), again=True)
    recorder = Recorder()
    experiment.run(spec_of(), out=tmp_path, observer=recorder)
    assert recorder.first_step == 3


def test_diverged_run_without_result_is_still_diverged_when_resumed(tmp_path):
    settings = ["norm=none", "optimizer.learning_rate=1e30"]
    whole = experiment.run(spec_of(*settings), out=tmp_path / "whole")
    experiment.run(spec_of(*settings), out=tmp_path / "stopped")
    (result,) = tmp_path.glob("stopped/small/*/result.json")
    result.unlink()  # as if the process had been killed right before
    resumed = experiment.run(spec_of(*settings), out=tmp_path / "stopped")
    assert resumed.result.status == "diverged"
    assert find_differences(whole, resumed) == []


def test_changed_version_gives_a_warning(tmp_path):
    directory, _ = run_until(8, tmp_path)
    checkpoints = Generations(directory / "checkpoint")
    old = checkpoints.newest()
    checkpoints.save(type(old)(**{**vars(old), "made_with": {**old.made_with, "numpy": "1.0"}}), keep=1)
    recorder = Recorder()
    experiment.run(spec_of(), out=tmp_path, observer=recorder)
    (warning,) = recorder.warnings
    assert "changed since step 8: numpy was 1.0; the last bits may differ" in warning


def test_checkpoint_of_another_run_is_refused(tmp_path):
    directory, _ = run_until(8, tmp_path / "a", "seed=1")
    other, _ = run_until(8, tmp_path / "b")
    shutil.rmtree(other / "checkpoint")
    shutil.copytree(directory / "checkpoint", other / "checkpoint")
    with pytest.raises(CheckpointError, match=r"belongs to run [0-9a-f]{10}; expected run .*--again"):
        experiment.run(spec_of(), out=tmp_path / "b")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
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
def test_checkpoint_of_another_network_or_optimizer_is_refused(tmp_path, kind, change, message):
    directory, _ = run_until(8, tmp_path, "optimizer={name: adam}")
    checkpoints = Generations(directory / "checkpoint")
    old = checkpoints.newest()
    arrays = {name: value for name, value in {**getattr(old, kind), **change}.items() if value is not None}
    checkpoints.save(type(old)(**{**vars(old), kind: arrays}), keep=1)
    with pytest.raises(CheckpointError, match=f"{message}.*use --again to start the run over") as caught:
        experiment.run(spec_of("optimizer={name: adam}"), out=tmp_path)
    assert caught.value.status == 6


def test_second_process_is_refused_with_the_owner_of_the_run(tmp_path):
    directory, _ = run_until(8, tmp_path)
    with locked(directory), pytest.raises(StorageError, match=r"in use by process \d+ on .*; expected one process"):
        experiment.run(spec_of(), out=tmp_path)


def test_run_that_another_process_has_finished_is_reused(tmp_path, monkeypatch):
    experiment.run(spec_of(), out=tmp_path)
    answers = iter([None])  # as before the other process finished
    stored = RunDirectory.stored
    monkeypatch.setattr(RunDirectory, "stored", lambda run: next(answers, ...) and stored(run))
    recorder = Recorder()
    experiment.run(spec_of(), out=tmp_path, observer=recorder)
    assert recorder.first_step is None


def test_result_has_parameter_count_and_peak_memory(tmp_path):
    result = experiment.run(spec_of(), out=tmp_path).result
    assert result.network["parameters"] == 36 * 8 + 8 * 2 + 8 * 4 + 4
    assert result.network["peak_memory"] > 50e6
    data = json.loads(next(tmp_path.glob("small/*/result.json")).read_text())
    assert data["network"] == result.network
