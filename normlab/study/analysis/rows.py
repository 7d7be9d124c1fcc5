"""One arm of a comparison: what its runs measured, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.study.analysis.statistics import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from normlab.study.analysis.measures import Measures, Reached
    from normlab.study.analysis.verdicts import Judgement
    from normlab.study.design.arms import Arm


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
        return tuple(run for run in self.runs if run.final is not None)

    @property
    def diverged(self) -> tuple[Measures, ...]:
        """The runs that diverged."""
        return tuple(run for run in self.runs if run.diverged)

    @property
    def accuracy(self) -> Estimate:
        """Final accuracy."""
        return self.mean("final")

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
        return {
            **_interval(judged.estimate),
            "by_seed": {str(seed): value for seed, value in judged.differences.items()},
            "p": judged.p,
            "holm_p": judged.adjusted_p,
            "sign_flip_p": judged.sign_flip_p,
            "probability_better": judged.probability,
            "divergence_holm_p": judged.divergence_p,
        }


#: What is told of every arm, by the name of its column.
MEASURES = {
    "accuracy": "final",
    "best_accuracy": "best",
    "area": "area",
    "gap": "gap",
    "seconds": "seconds",
    "milliseconds_per_step": "milliseconds",
}


def _interval(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "low": value.low, "high": value.high, "count": value.count}
