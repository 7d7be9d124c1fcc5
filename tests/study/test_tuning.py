"""Choosing nuisance values: infeasible trials stay, the edge of the grid is told."""

from __future__ import annotations

from study_support import history

from normlab.study.design.tuning import best, told, trial

GRID = {"optimizer.learning_rate": (0.01, 0.1, 1.0)}


def tried(*accuracies, seeds=1):
    """A trial for each point; each accuracy is that of all its seeds, or a tuple with one a seed."""
    trials = []
    for point, accuracy in zip(GRID["optimizer.learning_rate"], accuracies):
        each = accuracy if isinstance(accuracy, tuple) else (accuracy,) * seeds
        runs = [history(seed=seed, accuracy=value, split="validation") for seed, value in enumerate(each)]
        trials.append(trial({"optimizer.learning_rate": point}, runs, seeds))
    return trials


def test_the_highest_mean_over_all_seeds_is_chosen():
    trials = tried((0.5, 0.9), (0.8, 0.8), (0.1, 0.95), seeds=2)
    assert [each.score for each in trials] == [0.7, 0.8, 0.525]
    assert best(trials).settings == {"optimizer.learning_rate": 0.1}


def test_of_equals_the_first_is_chosen():
    assert best(tried(0.7, 0.9, 0.9)).settings == {"optimizer.learning_rate": 0.1}


def test_a_trial_with_a_diverged_or_missing_run_is_infeasible_and_kept():
    trials = tried((0.9, None), (0.5, 0.5), (0.99,), seeds=2)
    assert [each.score for each in trials] == [None, 0.5, None]
    assert [len(each.runs) for each in trials] == [2, 2, 1]
    assert best(trials).settings == {"optimizer.learning_rate": 0.1}


def test_a_choice_inside_the_grid_is_no_warning():
    assert told("batch", tried(0.5, 0.9, 0.6), GRID) == []


def test_a_choice_at_either_edge_says_where_to_widen():
    (below,), (above,) = (told("batch", tried(*accuracies), GRID) for accuracies in ((0.9, 0.5, 0.6), (0.5, 0.6, 0.9)))
    assert below == "batch: the best optimizer.learning_rate is 0.01, at the edge of its grid; widen it below"
    assert above == "batch: the best optimizer.learning_rate is 1.0, at the edge of its grid; widen it above"


def test_a_grid_of_words_or_of_one_value_has_no_edge():
    trials = [
        trial({"schedule": name}, [history(accuracy=0.5, split="validation")], 1) for name in ("constant", "cosine")
    ]
    assert told("batch", trials, {"schedule": ("constant", "cosine")}) == []
    assert told("batch", tried(0.5)[:1], {"optimizer.learning_rate": (0.01,)}) == []


def test_no_feasible_trial_chooses_nothing_and_says_so():
    trials = tried(None, None, None)
    assert best(trials) is None
    assert told("batch", trials, GRID) == [
        "batch: all 3 trials diverged or failed, so nothing could be chosen; widen the grid"
    ]
