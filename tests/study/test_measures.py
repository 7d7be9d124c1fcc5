from __future__ import annotations

import numpy as np
import pytest
from judging_support import run
from scipy.integrate import trapezoid

from normlab.errors import SpecError
from normlab.runs.history import Header, History, Record
from normlab.study.analysis.measures import measure, reached


def history(accuracies, steps=None, splits=("test",)):
    steps = steps or [20 * (k + 1) for k in range(len(accuracies))]
    records = [
        Record(step, 0, 0, step / 10, dict.fromkeys(splits, value), dict.fromkeys(splits, value))
        for step, value in zip(steps, accuracies)
    ]
    return History(Header("a", "batch", 3, tuple(splits), "0"), tuple(records))


def test_final_best_and_gap():
    found = measure(run(final=0.9, seed=4), "test")
    assert (found.seed, found.diverged) == (4, False)
    assert found.accuracy == found.best == pytest.approx(0.9)
    assert found.gap == pytest.approx(0.01)
    assert measure(history([0.7, 0.9, 0.8]), "test").best == 0.9
    assert measure(history([0.7]), "test").gap is None  # train was not evaluated


def test_area_is_the_mean_over_steps_not_over_evaluations():
    accuracies, steps = [0.2, 0.6, 0.8, 0.8], [10, 20, 40, 100]
    by_scipy = trapezoid(accuracies, steps) / 90
    assert measure(history(accuracies, steps), "test").area == pytest.approx(by_scipy, rel=1e-12)
    assert measure(history([0.5] * 7), "test").area == pytest.approx(0.5)
    assert measure(history([0.4]), "test").area == 0.4
    assert measure(history([]), "test").area is None


def test_steps_and_seconds_to_a_threshold_are_those_of_the_first_evaluation_that_reached_it():
    found = measure(history([0.5, 0.9, 0.7, 0.95]), "test", (0.5, 0.8, 0.9, 0.951))
    assert found.steps_to == {0.5: 20, 0.8: 40, 0.9: 40, 0.951: None}
    assert found.seconds_to == {0.5: 2.0, 0.8: 4.0, 0.9: 4.0, 0.951: None}


def test_seconds_and_milliseconds_are_those_of_the_result():
    found = measure(run(milliseconds=2.5, steps=200), "test")
    assert found.milliseconds == pytest.approx(2.5)
    assert found.seconds == pytest.approx(0.5 + 1.0)


def test_a_run_that_diverged_has_no_final_accuracy_but_what_it_reached_before_is_kept():
    found = measure(run(final=0.9, diverged_at=120), "test", (0.5, 0.89))
    assert found.diverged
    assert (found.diverged_step, found.diverged_layer) == (120, "dense1.gamma")
    assert (found.accuracy, found.area, found.gap) == (None, None, None)
    assert found.best == pytest.approx(0.9 * (1 - np.exp(-2.5)) / (1 - np.exp(-5)))
    assert found.steps_to == {0.5: 40, 0.89: None}


def test_a_split_that_was_not_evaluated_is_told():
    with pytest.raises(SpecError, match="split 'validation' was not evaluated"):
        measure(run(), "validation")


def reach(*steps):
    """How soon runs reached 0.8 that did so at these steps, or never."""
    runs = []
    for step in steps:
        accuracies = [0.5] * 5 if step is None else [0.5 if at < step else 0.8 for at in range(20, 101, 20)]
        runs.append(measure(history(accuracies), "test", (0.8,)))
    return reached(runs, 0.8)


def test_median_of_steps_counts_runs_that_never_did_as_later_than_all_others():
    assert (reach(20, 40, 100).steps, reach(20, 40, 100).count) == (40, 3)
    some = reach(20, None, 60)
    assert (some.steps, some.seconds, some.count, some.runs) == (60, 6.0, 2, 3)
    assert reach(20, 40, 60, None).steps == 50
    assert reach(20, None, None).steps is None  # never over half of them
    assert reach(20, None).steps is None
    assert (reach(None).count, reach(None).steps) == (0, None)
    assert (reach().count, reach().runs, reach().steps) == (0, 0, None)
