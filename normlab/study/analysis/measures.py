"""Measures of one run, and of all runs of an arm: accuracy, speed of learning and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from normlab.runs.history import History
from normlab.study.analysis.statistics import Estimate, estimate
from normlab.study.analysis.verdicts import Judgement
from normlab.study.design.arms import Arm


@dataclass(frozen=True)
class Measures:
    """The measures of one run on one split. A run that diverged has no final accuracy, area or gap.

    Attributes:
        seed: The run's seed.
        diverged: Whether it stopped being finite.
        diverged_step: The first step known to be bad.
        diverged_layer: The first layer known to be bad.
        accuracy: Accuracy of the last evaluation.
        best: The highest accuracy of any evaluation, before it diverged too.
        area: The mean accuracy from the first evaluation to the last: the area under the curve of accuracy against
            steps (trapezoids), by its width.
        gap: Accuracy on `train` less that on the split, at the end; None where `train` was not evaluated.
        steps_to: For each threshold the step of the first evaluation that reached it; None if none did.
        seconds_to: For each threshold the seconds until that evaluation.
        seconds: Of training and evaluations together.
        milliseconds: Of one training step.
    """

    seed: int
    diverged: bool
    diverged_step: int | None
    diverged_layer: str | None
    accuracy: float | None
    best: float | None
    area: float | None
    gap: float | None
    steps_to: Mapping[float, int | None] = field(default_factory=dict)
    seconds_to: Mapping[float, float | None] = field(default_factory=dict)
    seconds: float | None = None
    milliseconds: float | None = None


@dataclass(frozen=True)
class Reached:
    """How soon the runs of an arm reached a threshold. Runs that never did are counted, never averaged.

    Attributes:
        threshold: An accuracy.
        count: Runs that reached it.
        runs: All runs, those that diverged among them.
        steps: The median over all runs of the steps until then; None where half of them or more never reached it.
        seconds: The median of the seconds likewise.
    """

    threshold: float
    count: int
    runs: int
    steps: float | None
    seconds: float | None


def measure(history: History, split: str, thresholds: Sequence[float] = ()) -> Measures:
    """Measure a run.

    Args:
        history: The run; it has ended.
        split: The split that counts.
        thresholds: Accuracies.

    Raises:
        SpecError: The split was not evaluated.
    """
    result = history.result
    diverged = result is not None and result.status == "diverged"
    accuracies = history.accuracy(split)
    final = accuracies[-1] if accuracies and not diverged else None
    present = [accuracy for accuracy in accuracies if accuracy is not None]
    first = {threshold: _first(accuracies, threshold) for threshold in thresholds}
    return Measures(
        seed=history.seed,
        diverged=diverged,
        diverged_step=result.diverged_step if result and diverged else None,
        diverged_layer=result.diverged_layer if result and diverged else None,
        accuracy=final,
        best=max(present, default=None),
        area=None if diverged else _area(history.steps, accuracies),
        gap=None if final is None else _gap(history, final),
        steps_to={t: None if i is None else history[i].step for t, i in first.items()},
        seconds_to={t: None if i is None else history[i].seconds for t, i in first.items()},
        seconds=result.training_seconds + result.evaluation_seconds if result else None,
        milliseconds=1000 * result.training_seconds / result.steps if result and result.steps else None,
    )


def reached(runs: Sequence[Measures], threshold: float) -> Reached:
    """How soon the runs of an arm reached a threshold, one of those that they were measured with."""
    steps = [run.steps_to[threshold] for run in runs]
    seconds = [run.seconds_to[threshold] for run in runs]
    count = sum(step is not None for step in steps)
    return Reached(threshold, count, len(runs), _median(steps), _median(seconds))


def _first(accuracies: Sequence[float | None], threshold: float) -> int | None:
    return next((i for i, value in enumerate(accuracies) if value is not None and value >= threshold), None)


def _gap(history: History, final: float) -> float | None:
    train = history.accuracy("train")[-1] if "train" in history.splits else None
    return None if train is None else train - final


def _area(steps: Sequence[int], accuracies: Sequence[float | None]) -> float | None:
    points = [(step, accuracy) for step, accuracy in zip(steps, accuracies) if accuracy is not None]
    if len(points) < len(accuracies) or not points:
        return None
    if len(points) == 1:
        return points[0][1]
    pieces = [(b - a) * (one + other) / 2 for (a, one), (b, other) in zip(points, points[1:])]
    return math.fsum(pieces) / (points[-1][0] - points[0][0])


def _median(values: Sequence[float | None]) -> float | None:
    """The median, with what is None above all numbers."""
    ordered = sorted(math.inf if value is None else value for value in values)
    if not ordered:
        return None
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return None if math.isinf(middle) else middle


@dataclass(frozen=True)
class Row:
    """What a comparison says of one arm. Means are over the runs that completed.

    Attributes:
        arm: The arm, with its runs.
        is_baseline: Whether the others are compared with it.
        planned: How many runs it should have.
        runs: The measures of each of its runs.
        reached: How soon they reached each threshold.
        judgement: What was concluded; None for the baseline.
        audit: What it costs, see `normlab.models.audit`; and `peak_memory` in bytes, the highest of its runs.
    """

    arm: Arm
    is_baseline: bool
    planned: int
    runs: tuple[Measures, ...]
    reached: tuple[Reached, ...]
    judgement: Judgement | None
    audit: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The arm's label."""
        return self.arm.label

    @property
    def verdict(self) -> str:
        """The verdict in a word, `baseline` for the baseline."""
        return self.judgement.verdict if self.judgement else "baseline"

    @property
    def completed(self) -> tuple[Measures, ...]:
        """The runs that completed."""
        return tuple(run for run in self.runs if run.accuracy is not None)

    @property
    def diverged(self) -> tuple[Measures, ...]:
        """The runs that diverged."""
        return tuple(run for run in self.runs if run.diverged)

    @property
    def accuracy(self) -> Estimate:
        """Final accuracy."""
        return self.mean("accuracy")

    def mean(self, what: str) -> Estimate:
        """The mean and interval of one of the `Measures`, by its name."""
        values = [getattr(run, what) for run in self.completed]
        return estimate([value for value in values if value is not None])

    @property
    def trouble(self) -> str:
        """Which runs are missing from the means, e.g. `2 of 10 diverged (step 40, dense1.gamma)`; else empty."""
        found = []
        if self.diverged:
            first = min(self.diverged, key=lambda run: run.diverged_step or 0)
            where = [f"step {first.diverged_step}"] if first.diverged_step is not None else []
            where += [first.diverged_layer] if first.diverged_layer else []
            place = f" ({'first ' * (len(self.diverged) > 1)}{', '.join(where)})" if where else ""
            found.append(f"{len(self.diverged)} of {self.planned} diverged{place}")
        if self.arm.failures:
            found.append(f"{len(self.arm.failures)} of {self.planned} failed")
        absent = self.planned - len(self.runs) - len(self.arm.failures)
        if absent > 0:
            found.append(f"{absent} of {self.planned} missing")
        return ", ".join(found)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, all finite."""
        return {
            "arm": self.label,
            "verdict": self.verdict,
            "reason": self.judgement.reason if self.judgement else "",
            "settings": dict(self.arm.settings),
            "chosen": dict(self.arm.chosen),
            "runs": len(self.runs),
            "completed": len(self.completed),
            "diverged": [
                {"seed": run.seed, "step": run.diverged_step, "layer": run.diverged_layer} for run in self.diverged
            ],
            "failed": {str(seed): why for seed, why in self.arm.failures.items()},
            **{name: _interval(self.mean(what)) for name, what in MEASURES.items()},
            "steps_to": [vars(one) for one in self.reached],
            "difference": self._difference(),
            "audit": dict(self.audit),
        }

    def _difference(self) -> dict[str, Any] | None:
        if self.judgement is None:
            return None
        judged = self.judgement
        pairs = [pair for pair in judged.evidence.pairs if math.isfinite(pair.difference)]
        low, high = judged.ahead_interval or (None, None)
        return {
            **_interval(judged.estimate),
            "by_seed": {str(pair.seed): pair.difference for pair in pairs},
            "p": judged.p,
            "holm_p": judged.adjusted_p,
            "equivalence_holm_p": judged.equivalence_p,
            "sign_flip_p": judged.sign_flip_p,
            "divergence_p": judged.divergence_p,
            "ahead": {"count": judged.ahead, "of": len(judged.evidence.pairs), "low": low, "high": high},
        }


#: What is told of every arm, by the name of its column.
MEASURES = {
    "accuracy": "accuracy",
    "best_accuracy": "best",
    "area": "area",
    "gap": "gap",
    "seconds": "seconds",
    "milliseconds_per_step": "milliseconds",
}


def _interval(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "low": value.low, "high": value.high, "count": value.count}
