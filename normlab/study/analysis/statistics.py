"""What few paired numbers can tell: intervals, tests, and which differences they could find at all.

The t interval and the paired t test are those of Student; the bootstrap is not used, since with 3 to 10 values its
intervals are too narrow. The exact test by sign flips (Fisher 1935) supposes only that differences are symmetric, but
with n pairs it can't go below 2^(1 - n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE = 0.95
"""Of the intervals that are shown."""

#: Pairs up to which all sign flips are tried; beyond, so many are drawn.
_ALL_FLIPS_TO, _FLIPS = 20, 100_000
#: Sums of sign flips that differ by less, relative to all differences together, are the same but for rounding.
_SAME = 1e-12
#: Of the numerical integral for power; scipy's distribution of the noncentral t fails with 2 values.
_POINTS = 20_000
#: Values of a function whose root is sought: so near to 0, after so many at most.
_NEAR, _TRIES = 1e-12, 60


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        mean: The mean; None without values.
        low: Lower end of the interval; None below two values.
        high: Upper end.
        deviation: Standard deviation of the values; None below two.
        count: How many values.
    """

    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    count: int

    @property
    def half(self) -> float | None:
        """Half of the interval's width."""
        return None if self.high is None or self.mean is None else self.high - self.mean

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval, if there is one."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def within(self, margin: float) -> bool:
        """Whether the interval is there and wholly between -margin and margin."""
        return self.ends is not None and -margin < self.ends[0] <= self.ends[1] < margin


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of values and its t interval.

    Args:
        values: Independent measurements.
        confidence: How often such intervals hold the true mean.
    """
    count = len(values)
    if count == 0:
        return Estimate(None, None, None, None, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, None, None, 1)
    deviation = _deviation(values, mean)
    half = float(special.stdtrit(count - 1, (1 + confidence) / 2)) * deviation / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, deviation, count)


def t_p(differences: Sequence[float]) -> float | None:
    """Two-sided p value of the paired t test: how easily chance alone gives a mean so far from 0.

    Where all differences are the same number, their spread tells nothing, and the sign-flip p is given instead.

    Returns:
        The p value; None below two differences.
    """
    count = len(differences)
    if count < 2:  # noqa: PLR2004 - one difference has no spread
        return None
    if min(differences) == max(differences):
        return sign_flip_p(differences)
    mean = math.fsum(differences) / count
    t = mean / (_deviation(differences, mean) / math.sqrt(count))
    return float(2 * special.stdtr(count - 1, -abs(t)))


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float | None:
    """Two-sided p value by flipping signs: the share of all 2^n sign patterns whose sum is as far from 0 as ours.

    Exact for at most 20 differences; for more, 100,000 patterns are drawn, and ours is counted among them.

    Args:
        differences: One a pair.
        seed: Of the drawn patterns.

    Returns:
        The p value; None without differences.
    """
    if not len(differences):
        return None
    sizes = np.abs(np.asarray(differences, dtype=float))
    least = abs(math.fsum(differences)) - _SAME * math.fsum(sizes)
    if len(sizes) <= _ALL_FLIPS_TO:
        sums = sizes[:1]  # its sign stays: flipping all signs changes nothing
        for size in sizes[1:]:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= least))
    signs = np.random.default_rng(seed).integers(0, 2, (_FLIPS, len(sizes)), dtype=np.int8) * 2 - 1
    reached = int(np.count_nonzero(np.abs(signs @ sizes) >= least))
    return (reached + 1) / (_FLIPS + 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values adjusted for being several, so that all together give a false alarm no more often than one would.

    Holm (Scandinavian Journal of Statistics 1979). What is None is no test and stays None.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return adjusted


def probability_better(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The share of pairs in which ours is the higher one, ties counted half; None without pairs."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} values; expected pairs")
    if not len(ours):
        return None
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(ours, theirs)) / len(ours)


def fisher_p(ours: int, theirs: int, our_count: int, their_count: int) -> float:
    """Two-sided p value of Fisher's exact test: whether two arms diverge equally often.

    Args:
        ours: Runs of our arm that diverged.
        theirs: Runs of the other arm that diverged.
        our_count: Runs of our arm.
        their_count: Runs of the other arm.
    """
    both = ours + theirs
    ways = {
        k: math.comb(our_count, k) * math.comb(their_count, both - k)
        for k in range(max(0, both - their_count), min(both, our_count) + 1)
    }
    return sum(count for count in ways.values() if count <= ways[ours]) / sum(ways.values())


def reachable_p(n: int) -> float:
    """The smallest p value that the exact test by sign flips can give with n pairs: 2^(1 - n)."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(level: float) -> int:
    """The fewest pairs with which the exact test by sign flips can reach a level; 6 for 0.05."""
    n = 1
    while reachable_p(n) > level:
        n += 1
    return n


def detectable_difference(n: int, level: float = 0.05, power: float = 0.8) -> float:
    """The smallest true mean difference that the paired t test finds with this probability.

    Args:
        n: Pairs.
        level: Chance of a false alarm.
        power: Chance to find it.

    Returns:
        In standard deviations of the paired differences; infinite below two pairs.
    """
    if n < 2:  # noqa: PLR2004 - one difference has no spread
        return math.inf
    critical = float(special.stdtrit(n - 1, 1 - level / 2))
    # the spread that n values show, in true standard deviations, at evenly many points of its distribution
    shown = np.sqrt(special.chdtri(n - 1, (np.arange(_POINTS) + 0.5) / _POINTS) / (n - 1))

    def lacking(shift: float) -> float:
        # of a t value with this noncentrality: above the critical one, or below its negative
        found = special.ndtr(shift - critical * shown) + special.ndtr(-shift - critical * shown)
        return float(found.mean()) - power

    return _root(lacking, 0.0, 4 * critical + 10) / math.sqrt(n)


def _root(increasing: Callable[[float], float], low: float, high: float) -> float:
    """Where a function goes from below 0 to above it: by false position, an end that stays counting half (Illinois)."""
    at_low, at_high, before = increasing(low), increasing(high), 0.0
    for _ in range(_TRIES):
        middle = high - at_high * (high - low) / (at_high - at_low)
        at = increasing(middle)
        if abs(at) < _NEAR:
            break
        stays = 0.5 if at * before > 0 else 1.0
        if at < 0:
            low, at_low, at_high = middle, at, stays * at_high
        else:
            high, at_high, at_low = middle, at, stays * at_low
        before = at
    return middle


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
