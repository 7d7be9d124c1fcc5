"""Verdicts on arms beside the baseline: better, worse, equivalent or undecided.

The unit of the comparison is the *repeat*: one tuning of every arm with seeds of its own, and the final runs with what
it chose. Repeats are independent, and all arms of a repeat share its seeds, so their differences are paired. Without
tuning every seed is a repeat of its own.

1. *Accuracy.* The difference of a repeat is the mean over its seeds with which both arms completed. The paired t test
   over repeats gives a p value. It decides, since few repeats leave the test by sign flips no chance: with 5 it can't
   go below 0.0625.
2. *Divergence.* A run that diverged has the worst rank. Where a run of the arm or of the baseline diverged, the t test
   is over signed ranks (Conover and Iman, The American Statistician 1981), and Barnard's test asks whether the two
   diverge equally often; the smaller p value counts twice.
3. *Many arms.* Holm's method adjusts the p values, one for each arm, so that a false *better* or *worse* in any arm
   has at most the chance of the level.
4. *Equivalence.* Two one-sided t tests at the same level, adjusted by Holm too. An arm is never equivalent if, with
   some seed, it or the baseline diverged alone.
5. Differences without spread give no interval, no p value and no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from normlab.study.analysis.statistics import (
    Estimate,
    detectable_difference,
    equivalence_p,
    estimate,
    has_spread,
    holm,
    rates_p,
    sign_flip_p,
    signed_ranks,
    t_p,
    wilson_interval,
)

Verdict = Literal["better", "worse", "equivalent", "undecided"]


class Pair(NamedTuple):
    """Final accuracies of the arm and of the baseline with one seed; None for a run that diverged."""

    seed: int
    accuracy: float | None
    baseline: float | None

    @property
    def difference(self) -> float:
        """The arm's accuracy less the baseline's; infinite where one of them diverged, 0 where both did."""
        if self.accuracy is None or self.baseline is None:
            return 0.0 if self.accuracy == self.baseline else math.inf if self.baseline is None else -math.inf
        return self.accuracy - self.baseline


@dataclass(frozen=True)
class Evidence:
    """The pairs of one arm and the baseline.

    Attributes:
        repeats: The pairs of each repeat, at least one in each.
        examples: Examples of the split, of which each accuracy is a multiple of 1 / examples; 0 if not known.
    """

    repeats: tuple[tuple[Pair, ...], ...]
    examples: int = 0

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, in the order of the repeats."""
        return [pair for repeat in self.repeats for pair in repeat]

    @cached_property
    def differences(self) -> list[float]:
        """The mean difference of each repeat in which both completed with some seed."""
        finite = [[pair.difference for pair in repeat if _completed(pair)] for repeat in self.repeats]
        return [math.fsum(each) / len(each) for each in finite if each]

    @cached_property
    def ranks(self) -> list[float]:
        """The mean signed rank of each repeat, over all its pairs."""
        ranks = iter(signed_ranks([pair.difference for pair in self.pairs], self.step))
        return [math.fsum(next(ranks) for _ in repeat) / len(repeat) for repeat in self.repeats]

    @property
    def step(self) -> float:
        """The smallest difference of two accuracies; 0 if not known."""
        return 1 / self.examples if self.examples else 0.0

    @property
    def resolution(self) -> float:
        """The smallest difference of two differences of repeats; 0 if not known."""
        return self.step / max((len(repeat) for repeat in self.repeats), default=1)

    @property
    def diverged(self) -> int:
        """Repeats in which a run of the arm diverged."""
        return sum(any(pair.accuracy is None for pair in repeat) for repeat in self.repeats)

    @property
    def baseline_diverged(self) -> int:
        """Repeats in which a run of the baseline diverged."""
        return sum(any(pair.baseline is None for pair in repeat) for repeat in self.repeats)

    @property
    def diverged_apart(self) -> bool:
        """Whether with some seed one of the two diverged alone."""
        return any((pair.accuracy is None) != (pair.baseline is None) for pair in self.pairs)


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it was reached from.

    Attributes:
        verdict: better, worse, equivalent or undecided.
        reason: Why, in a few words.
        evidence: The pairs.
        estimate: Mean difference over repeats and its 95 % interval, for this arm alone.
        p: Of the test of this arm alone; None where it has no spread.
        adjusted_p: The same after Holm, which decides.
        equivalence_p: Of the two one-sided tests, after Holm.
        sign_flip_p: Of the test by sign flips over repeats, unadjusted.
        ahead: Pairs in which the arm is ahead, ties counted half; a run that diverged is behind.
        divergence_p: Of Barnard's test of divergence, unadjusted; None where no run diverged.
    """

    verdict: Verdict
    reason: str
    evidence: Evidence
    estimate: Estimate
    p: float | None
    adjusted_p: float | None
    equivalence_p: float | None
    sign_flip_p: float | None
    ahead: float | None
    divergence_p: float | None

    @property
    def ahead_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the share of pairs in which the arm is ahead."""
        count = len(self.evidence.pairs)
        return None if self.ahead is None else wilson_interval(self.ahead, count)

    def detectable(self, level: float, margin: float) -> float | None:
        """Return the smallest true difference that such a study would call better or worse 8 times in 10.

        Args:
            level: Level of the test of this arm.
            margin: Differences of accuracy smaller than this count as none.

        Returns:
            The difference, from this arm's own spread, or None where it has none.
        """
        if self.estimate.deviation is None:
            return None
        return detectable_difference(self.estimate.count, self.estimate.deviation, level=level, margin=margin)


class _Test(NamedTuple):
    """One test of an arm: its p value, the sign of its effect, and what it looked at."""

    p: float | None
    sign: int
    what: Literal["accuracy", "ranks", "divergence"]


def judge(evidence: Sequence[Evidence], *, margin: float, level: float) -> list[Judgement]:
    """Judge all arms of a study together.

    Args:
        evidence: Of each arm but the baseline.
        margin: Differences of accuracy smaller than this count as none.
        level: Chance of a false *better* or *worse* over all arms, and of a false *equivalent*.
    """
    tests = [_test(each) for each in evidence]
    adjusted = holm([test.p for test in tests])
    equivalence = holm([_equivalence_p(each, margin) for each in evidence])
    return [
        _judgement(each, test, p, same, level, len(evidence))
        for each, test, p, same in zip(evidence, tests, adjusted, equivalence)
    ]


def _test(evidence: Evidence) -> _Test:
    if not evidence.diverged + evidence.baseline_diverged:
        return _Test(t_p(evidence.differences, evidence.resolution), _sign(sum(evidence.differences)), "accuracy")
    by_rank = _Test(t_p(evidence.ranks), _sign(sum(evidence.ranks)), "ranks")
    by_rate = _Test(_divergence_p(evidence), _sign(evidence.baseline_diverged - evidence.diverged), "divergence")
    if by_rank.p is None or by_rate.p is None:  # every repeat ended alike, so there is one test only
        return by_rate
    best = by_rank if by_rank.p < by_rate.p else by_rate
    return best._replace(p=min(1.0, 2 * min(by_rank.p, by_rate.p)))


def _divergence_p(evidence: Evidence) -> float | None:
    if not evidence.diverged + evidence.baseline_diverged:
        return None
    return rates_p(evidence.diverged, evidence.baseline_diverged, len(evidence.repeats))


def _equivalence_p(evidence: Evidence, margin: float) -> float | None:
    # an arm of which other runs diverged has no p value here, but it is one of the arms that Holm counts
    return 1.0 if evidence.diverged_apart else equivalence_p(evidence.differences, margin, evidence.resolution)


def _judgement(
    evidence: Evidence, test: _Test, p: float | None, same: float | None, level: float, arms: int
) -> Judgement:
    mean = estimate(evidence.differences, resolution=evidence.resolution)
    ahead = [1.0 if pair.difference > 0 else 0.5 if pair.difference == 0 else 0.0 for pair in evidence.pairs]
    verdict, reason = _conclude(evidence, test, mean, p, same, level, arms)
    return Judgement(
        verdict=verdict,
        reason=reason,
        evidence=evidence,
        estimate=mean,
        p=test.p,
        adjusted_p=p,
        equivalence_p=same,
        sign_flip_p=sign_flip_p(evidence.differences),
        ahead=math.fsum(ahead) if ahead else None,
        divergence_p=_divergence_p(evidence),
    )


def _conclude(
    evidence: Evidence, test: _Test, mean: Estimate, p: float | None, same: float | None, level: float, arms: int
) -> tuple[Verdict, str]:
    if len(evidence.repeats) < 2:  # noqa: PLR2004 - below two there is no spread
        return "undecided", "one repeat has no spread to compare a difference with"
    if same is not None and same <= level:
        return "equivalent", "the difference lies within the margin"
    if p is not None and p <= level and test.sign:
        return ("better" if test.sign > 0 else "worse"), _SAYS[test.what]
    return "undecided", _doubt(evidence, test, mean, arms)


def _doubt(evidence: Evidence, test: _Test, mean: Estimate, arms: int) -> str:
    if test.p is None:
        return _without_spread(evidence)
    if test.what != "accuracy":
        return _divergence(evidence)
    if mean.ends is not None and not mean.ends[0] <= 0 <= mean.ends[1]:
        return f"with {arms} arms compared, one such difference can come by chance"
    return "chance alone could give this difference"


def _divergence(evidence: Evidence) -> str:
    ahead = sum(pair.difference > 0 for pair in evidence.pairs)
    return (
        f"ahead in {ahead} of {len(evidence.pairs)} seeds; {evidence.diverged} of its repeats diverged and "
        f"{evidence.baseline_diverged} of the baseline's, which chance alone could give"
    )


def _without_spread(evidence: Evidence) -> str:
    if not evidence.differences:
        return "no seed with which both completed"
    if has_spread(evidence.differences):
        return "all differences are equal to within one example of the split"
    return "all differences are equal, so there is no spread to compare them with"


_SAYS = {
    "accuracy": "the paired t test says so",
    "ranks": "the t test of signed ranks says so, runs that diverged ranked worst",
    "divergence": "it diverges more or less often than the baseline",
}


def _completed(pair: Pair) -> bool:
    return pair.accuracy is not None and pair.baseline is not None


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
