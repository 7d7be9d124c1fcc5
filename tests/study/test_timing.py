"""What a plan expects runs to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from study_support import STUDY, TUNED, design, history

from normlab.errors import SpecError
from normlab.study.execution import planning as timing
from normlab.study.execution.planning import Cost, Timing

SECONDS = {"none": 1.0, "batch": 2.0, "group": 4.0}
"""Of a step, and of starting; an evaluation takes ten times as long."""


@pytest.fixture
def asked(monkeypatch):
    """Norms of the runs that were timed."""
    norms = []

    def load(label):
        one, run = SECONDS[label], history(label, steps=40)
        result = replace(run.result, training_seconds=40 * one, evaluation_seconds=10 * one, seconds=51 * one)
        return replace(run, result=result)

    monkeypatch.setattr(timing.History, "load", load)
    return norms


def answering(norms):
    def ask(task):
        assert task.spec.training.steps == 30  # no more than a whole run has
        assert not Path(task.out, "small").exists()
        norms.append(task.spec.norm[0].name)
        return {"event": "done", "directory": norms[-1]}

    return ask


def test_a_cost_is_of_start_steps_and_evaluations():
    assert Cost(1, 0.1, 2, 100).seconds(steps=30, every=20) == pytest.approx(1 + 3 + 2 * 2)


def test_each_arm_is_timed_once_and_on_its_own(tmp_path, asked):
    found = Timing(design(tmp_path, TUNED), answering(asked))
    for arm, one in enumerate(SECONDS.values()):
        assert found.seconds("trial", arm, []) == (pytest.approx(one * (1 + 10 + 10)), "timed")
        assert found.seconds("final", arm, []) == (pytest.approx(one * (1 + 30 + 3 * 10)), "timed")
    assert asked == ["none", "batch", "group"]


def test_stored_runs_of_the_arm_tell_without_timing_and_diverged_ones_do_not(tmp_path, asked):
    found = Timing(design(tmp_path, STUDY), answering(asked))
    runs = [history("none", seed) for seed in range(2)]
    runs[1] = replace(runs[1], result=replace(runs[1].result, seconds=4.0))
    assert found.seconds("final", 0, [*runs, history("none", 2, None)]) == (2.5, "stored")
    assert asked == []
    assert found.seconds("final", 1, [history("batch", 2, None)])[1] == "timed"


def test_when_timing_has_taken_long_the_other_arms_have_their_mean(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(timing, "_PATIENCE", -1.0)
    found = Timing(design(tmp_path, TUNED), answering(asked))
    first = found.seconds("final", 1, [])
    assert first[1] == "timed"
    assert found.seconds("final", 2, []) == (first[0], "others")
    assert found.seconds("final", 1, []) == first
    assert asked == ["batch"]


def test_a_run_that_can_not_be_timed_is_told(tmp_path):
    found = Timing(design(tmp_path), lambda _: {"event": "failed", "message": "no such device"})
    with pytest.raises(SpecError, match="no such device"):
        found.seconds("final", 0, [])
