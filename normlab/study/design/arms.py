"""What a study holds once it has run: a question, and for each of its arms the runs that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from normlab.runs.history import History


@dataclass(frozen=True)
class Question:
    """What a study asks, and how sure it wants to be.

    Attributes:
        name: What the study is called.
        description: What it is for, in a sentence.
        baseline: The label of the arm that all others are compared with.
        scientific: The keys that differ between arms on purpose, e.g. `("norm",)`.
        nuisance: The keys tuned for each arm, each with its grid, the same for all arms.
        seeds: The seeds of the final runs.
        tuning_seeds: The seeds of the trials of all repeats, in turn; none of them is among `seeds`.
        repeats: Tunings of each arm, each with trial seeds, a choice and final seeds of its own.
        split: The split on which arms are compared.
        thresholds: Accuracies of that split; a measure is the number of steps until each is reached.
        margin: Differences of accuracy smaller than this count as none.
        level: Chance of a false alarm over all arms, e.g. 0.05.
        allowed: Further keys in which runs may differ, by the person's leave.
    """

    name: str
    baseline: str
    description: str = ""
    scientific: tuple[str, ...] = ("norm",)
    nuisance: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    tuning_seeds: tuple[int, ...] = ()
    repeats: int = 1
    split: str = "test"
    thresholds: tuple[float, ...] = ()
    margin: float = 0.005
    level: float = 0.05
    allowed: tuple[str, ...] = ()

    def trial_seeds(self, repeat: int) -> tuple[int, ...]:
        """Return the trial seeds of one tuning."""
        width = len(self.tuning_seeds) // self.repeats
        return self.tuning_seeds[repeat * width : (repeat + 1) * width]

    def repeat_of(self, seed: int) -> int:
        """Return the tuning that a final seed belongs to."""
        return self.seeds.index(seed) % self.repeats


@dataclass(frozen=True)
class Trial:
    """One point of the grid, tried for one arm.

    Attributes:
        settings: Value of each nuisance key, e.g. `{"optimizer.learning_rate": 0.1}`.
        runs: Its runs, one a tuning seed; diverged ones too.
        score: Mean final accuracy on `validation`, or None if any run diverged or failed.
        repeat: The tuning that it belongs to.
    """

    settings: Mapping[str, Any]
    runs: tuple[History, ...]
    score: float | None
    repeat: int = 0


@dataclass(frozen=True)
class Arm:
    """One value of the scientific factor, with its final runs.

    Attributes:
        label: How it is told in tables and figures; unique in its study.
        settings: Value of each scientific key, e.g. `{"norm": {"name": "group", "groups": 10}}`.
        chosen: The nuisance values that tuning chose, a list of one for each repeat if there are several; empty without
            tuning.
        runs: Its final runs that ended, one a seed, in the order of their seeds; diverged ones too.
        trials: Its trials, in the order of the grid.
        failures: By seed, why a run failed.
    """

    label: str
    settings: Mapping[str, Any]
    chosen: Mapping[str, Any]
    runs: tuple[History, ...]
    trials: tuple[Trial, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
