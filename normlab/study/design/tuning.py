"""Choosing the nuisance values of an arm by its trials: the same grid, trials and seeds for every arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from normlab.runs.history import History
from normlab.spec.values import in_line
from normlab.study.design.arms import Trial
from normlab.study.design.design import TRIAL_SPLIT


def trial(point: Mapping[str, Any], runs: Sequence[History], seeds: int, repeat: int = 0) -> Trial:
    """One point of the grid with what its runs came to.

    Args:
        point: Values of the nuisance keys.
        runs: The runs that ended.
        seeds: How many there should be.
        repeat: The tuning that it belongs to.
    """
    finals = [run.final().get(f"{TRIAL_SPLIT}_accuracy") for run in runs]
    scores = [score for score in finals if score is not None]
    return Trial(point, tuple(runs), fmean(scores) if scores and len(scores) == seeds else None, repeat)


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the highest score, the first of several; None if none is feasible."""
    feasible = [(each.score, -index) for index, each in enumerate(trials) if each.score is not None]
    return trials[-max(feasible)[1]] if feasible else None


def choices(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the values that each tuning chose, a list for each key if there are several tunings."""
    found = [best([trial for trial in trials if trial.repeat == repeat]) for repeat in range(_count(trials))]
    settings = [dict(chosen.settings) if chosen else {} for chosen in found]
    if len(settings) == 1:
        return settings[0]
    keys = dict.fromkeys(key for each in settings for key in each)
    return {key: [each.get(key) for each in settings] for key in keys}


def _count(trials: Sequence[Trial]) -> int:
    return max((trial.repeat for trial in trials), default=-1) + 1


def told(label: str, trials: Sequence[Trial], grid: Mapping[str, Sequence[Any]]) -> list[str]:
    """Sentences on what an arm's tuning leaves open: a choice at the edge of the grid, no feasible trial."""
    chosen = best(trials)
    if chosen is None:
        return [f"{label}: all {len(trials)} trials diverged or failed, so nothing could be chosen; widen the grid"]
    lines = [_edge(label, key, chosen.settings[key], values) for key, values in grid.items()]
    return [line for line in lines if line]


def _edge(label: str, key: str, value: Any, values: Sequence[Any]) -> str:
    """A sentence if the value is the lowest or highest of numbers; other grids have no edge."""
    if len(values) == 1 or not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        return ""
    if value not in (min(values), max(values)):
        return ""
    where = "below" if value == min(values) else "above"
    return f"{label}: the best {key} is {in_line(value)}, at the edge of its grid; widen it {where}"
