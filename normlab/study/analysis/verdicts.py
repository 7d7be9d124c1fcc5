"""What may be concluded about an arm beside the baseline: better, worse, equivalent or undecided.

The rules, in order:

1. *Accuracy.* The differences are those of the seeds with which both arms completed. Where their 95 % interval lies
   wholly within the margin, accuracy is the same for all that matters. Else it differs if the p value of the paired t
   test, after Holm, is at most the level. The t test decides because few seeds leave the exact test by sign flips no
   chance: with 5 it can't go below 0.0625. Its p value is shown beside.
2. *Divergence.* Where either arm has diverged runs, Fisher's exact test asks whether they diverge equally often. Its
   p value stands among those that Holm adjusts.
3. Both together: *better* or *worse* if one of them says so and the other does not say the contrary. An arm that
   diverged more often than the baseline is never *better* by its completed runs alone, and the baseline has the same
   protection; unequal divergence is never *equivalent*. All else is *undecided*.

So a false alarm over all arms has at most the chance of the level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from normlab.study.analysis.statistics import Estimate, estimate, fisher_p, holm, probability_better, sign_flip_p, t_p

Verdict = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Evidence:
    """What two arms show, with the same seeds.

    Attributes:
        ours: Final accuracy of the arm by seed, of the runs that completed.
        theirs: That of the baseline.
        diverged: How many runs of the arm diverged.
        baseline_diverged: How many of the baseline.
    """

    ours: Mapping[int, float]
    theirs: Mapping[int, float]
    diverged: int = 0
    baseline_diverged: int = 0

    @property
    def differences(self) -> dict[int, float]:
        """Ours less theirs, by seed."""
        return {seed: value - self.theirs[seed] for seed, value in sorted(self.ours.items()) if seed in self.theirs}

    @property
    def divergence_p(self) -> float | None:
        """Whether they diverge equally often; None where none of them diverged."""
        if not self.diverged + self.baseline_diverged:
            return None
        ours, theirs = self.diverged + len(self.ours), self.baseline_diverged + len(self.theirs)
        return fisher_p(self.diverged, self.baseline_diverged, ours, theirs)


@dataclass(frozen=True)
class Judgement:
    """What was concluded, and from what.

    Attributes:
        verdict: better, worse, equivalent or undecided.
        reason: Why, in a few words.
        differences: By seed.
        estimate: Their mean and 95 % interval.
        p: Of the paired t test.
        adjusted_p: The same after Holm, which decides.
        sign_flip_p: Of the exact test by sign flips.
        probability: The share of seeds with which the arm is ahead, ties counted half: P(A > B).
        divergence_p: Of Fisher's test of divergence, after Holm; None where none diverged.
    """

    verdict: Verdict
    reason: str
    differences: Mapping[int, float]
    estimate: Estimate
    p: float | None
    adjusted_p: float | None
    sign_flip_p: float | None
    probability: float | None
    divergence_p: float | None


def judge(evidence: Sequence[Evidence], *, margin: float, level: float) -> list[Judgement]:
    """Judge all arms of a study together.

    Args:
        evidence: Of each arm but the baseline.
        margin: Differences of accuracy smaller than this count as none.
        level: Chance of a false alarm over all arms.
    """
    accuracy = [t_p(list(each.differences.values())) for each in evidence]
    adjusted = holm([*accuracy, *(each.divergence_p for each in evidence)])
    count = len(evidence)
    return [
        _judgement(each, p, adjusted[index], adjusted[count + index], margin, level)
        for index, (each, p) in enumerate(zip(evidence, accuracy))
    ]


def _judgement(
    evidence: Evidence,
    p: float | None,
    adjusted: float | None,
    divergence: float | None,
    margin: float,
    level: float,
) -> Judgement:
    differences = evidence.differences
    values = list(differences.values())
    ours, theirs = ([arm[seed] for seed in differences] for arm in (evidence.ours, evidence.theirs))
    mean = estimate(values)
    says = 0 if adjusted is None or adjusted > level or not mean.mean else 1 if mean.mean > 0 else -1
    more = evidence.diverged - evidence.baseline_diverged
    same = mean.within(margin)
    by_divergence = 0 if divergence is None or divergence > level else (more < 0) - (more > 0)
    few = len(values) < 2  # noqa: PLR2004 - below two there is no interval
    verdict, reason = _concluded(0 if same else says, by_divergence, more, same=same, few=few)
    return Judgement(
        verdict,
        reason,
        differences,
        mean,
        p,
        adjusted,
        sign_flip_p(values),
        probability_better(ours, theirs),
        divergence,
    )


def _concluded(accuracy: int, divergence: int, more: int, *, same: bool, few: bool) -> tuple[Verdict, str]:
    """The verdict and its reason.

    Args:
        accuracy: What accuracy says: 1 better, -1 worse, 0 nothing.
        divergence: What divergence says, likewise.
        more: By how many more runs than the baseline the arm diverged.
        same: Whether accuracy is the same within the margin.
        few: Whether there are too few pairs for an interval.
    """
    if accuracy * divergence < 0:
        return "undecided", f"completed runs are {_WORDS[accuracy]}, but it diverges {_OFTEN[more > 0]}"
    if divergence:
        return _WORDS[divergence], f"diverges {_OFTEN[more > 0]} than the baseline"
    if few:
        return "undecided", "fewer than two seeds with which both completed"
    if accuracy * more > 0:
        return "undecided", f"completed runs are {_WORDS[accuracy]}, but more runs {_WHOSE[more > 0]} diverged"
    if accuracy:
        return _WORDS[accuracy], "the paired t test says so, after Holm"
    return _no_difference(more, same=same)


def _no_difference(more: int, *, same: bool) -> tuple[Verdict, str]:
    if same and more:
        return "undecided", f"completed runs are alike, but more runs {_WHOSE[more > 0]} diverged"
    if same:
        return "equivalent", "the interval lies within the margin"
    return "undecided", "chance alone could give this difference"


_WORDS: dict[int, Verdict] = {1: "better", -1: "worse"}
_OFTEN = {True: "more often", False: "less often"}
_WHOSE = {True: "of it", False: "of the baseline"}
