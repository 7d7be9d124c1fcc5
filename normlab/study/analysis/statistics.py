"""Statistics of a few paired numbers: intervals, tests, and the differences that they could find.

All functions take plain sequences. The t interval and the paired t test are Student's. The bootstrap is not used for
few values, since with 3 to 10 of them its intervals are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95
"""Confidence of the intervals that are shown."""

#: Pairs up to which all sign flips are tried; for more pairs this many are drawn.
_ALL_FLIPS_TO, _FLIPS = 20, 100_000
#: Sums of sign flips are equal if they differ by less than this share of the sum of all sizes.
_SAME = 1e-12
#: Values are equal if they differ by less than this share of the largest, where no resolution is known.
_ROUNDING = 1e-9
#: Points of the grid of the unconditional test, and draws of the simulation of power.
_GRID, _DRAWS = 201, 20_000
_BISECTIONS = 40


@dataclass(frozen=True)
class Estimate:
    """A mean and its t interval.

    Attributes:
        mean: The mean; None without values.
        low: Lower end of the interval; None where there is no spread to derive it from.
        high: Upper end of the interval.
        deviation: Standard deviation of the values; None where there is no spread.
        count: Number of values.
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


def has_spread(values: Sequence[float], resolution: float = 0.0) -> bool:
    """Return whether values differ by more than rounding.

    Args:
        values: Measurements.
        resolution: The smallest difference that two measurements can have, such as 1 / n for an accuracy over n
            examples; 0 if it is not known.
    """
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return False
    tolerance = resolution / 2 or _ROUNDING * max(abs(value) for value in values)
    return max(values) - min(values) > tolerance


def estimate(values: Sequence[float], confidence: float = CONFIDENCE, resolution: float = 0.0) -> Estimate:
    """Return the mean of values and its t interval.

    Args:
        values: Independent measurements.
        confidence: How often such intervals contain the true mean.
        resolution: The smallest difference that two values can have; see `has_spread`.
    """
    count = len(values)
    if count == 0:
        return Estimate(None, None, None, None, 0)
    mean = math.fsum(values) / count
    if not has_spread(values, resolution):
        return Estimate(mean, None, None, None, count)
    deviation = standard_deviation(values)
    half = float(special.stdtrit(count - 1, (1 + confidence) / 2)) * deviation / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, deviation, count)


def standard_deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of at least two values, with n - 1 in the denominator."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def t_p(differences: Sequence[float], resolution: float = 0.0) -> float | None:
    """Return the two-sided p value of the paired t test, or None where the differences have no spread.

    Args:
        differences: One for each pair.
        resolution: The smallest difference that two of them can have; see `has_spread`.
    """
    if not has_spread(differences, resolution):
        return None
    return float(2 * special.stdtr(len(differences) - 1, -abs(_t(differences))))


def equivalence_p(differences: Sequence[float], margin: float, resolution: float = 0.0) -> float | None:
    """Return the p value of two one-sided t tests of the mean lying outside of the margin, or None without spread.

    Schuirmann (Journal of Pharmacokinetics and Biopharmaceutics 1987).

    Args:
        differences: One for each pair.
        margin: Means nearer to 0 than this count as 0.
        resolution: The smallest difference that two of the differences can have; see `has_spread`.
    """
    if not has_spread(differences, resolution):
        return None
    mean = math.fsum(differences) / len(differences)
    error = standard_deviation(differences) / math.sqrt(len(differences))
    return float(special.stdtr(len(differences) - 1, -(margin - abs(mean)) / error))


def signed_ranks(differences: Sequence[float], resolution: float = 0.0) -> list[float]:
    """Return Wilcoxon's signed ranks of differences, infinite ones highest; differences of 0 get 0.

    Ties share their mean rank. Zeros are ranked and then set to 0 (Pratt, JASA 1959), so they dilute the others.

    Args:
        differences: One for each pair; plus or minus infinity where one of the two diverged.
        resolution: The smallest difference that two of them can have: sizes nearer than half of it are ties.
    """
    sizes = [abs(value) for value in differences]
    finite = [size for size in sizes if math.isfinite(size)]
    tolerance = resolution / 2 or _ROUNDING * max(finite, default=0.0)
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    ranks = [0.0] * len(sizes)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and not sizes[order[stop]] - sizes[order[stop - 1]] > tolerance:
            stop += 1
        for index in order[start:stop]:
            is_zero = sizes[index] <= tolerance
            ranks[index] = 0.0 if is_zero else math.copysign((start + 1 + stop) / 2, differences[index])
        start = stop
    return ranks


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float | None:
    """Return the two-sided p value of Fisher's test by sign flips, or None without differences.

    It is the share of all 2^n sign patterns whose sum is at least as far from 0 as that of the differences. It assumes
    only that differences are symmetric about 0, but it can't go below 2^(1 - n). Exact for at most 20 differences; for
    more, 100,000 patterns are drawn.

    Args:
        differences: One for each pair.
        seed: Seed of the drawn patterns.
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


def rates_p(ours: int, theirs: int, count: int) -> float:
    """Return the two-sided p value of Barnard's unconditional test that two arms diverge equally often.

    The largest probability, over all rates that the arms could share, of numbers that differ at least as much. It
    treats the two as independent. Arms that share seeds diverge together rather than apart, so for them it errs on
    the safe side; McNemar's test would need six seeds in which only one diverged, however certain the case.

    Args:
        ours: Runs of our arm that diverged.
        theirs: Runs of the other arm that diverged.
        count: Runs of each arm.
    """
    if ours == theirs:
        return 1.0
    rates = np.linspace(0.0, 1.0, _GRID)[:, None]
    k = np.arange(count + 1)
    ways = np.array([math.comb(count, int(each)) for each in k], dtype=float)
    binomial = ways * rates**k * (1 - rates) ** (count - k)
    both = k[:, None] + k[None, :]
    # the squared Wald statistic with the pooled rate, but for a constant factor
    statistic = (k[:, None] - k[None, :]) ** 2 / np.maximum(both * (2 * count - both), 1)
    at_least = statistic >= statistic[ours, theirs] * (1 - _SAME)
    return float(np.einsum("ri,rj,ij->r", binomial, binomial, at_least.astype(float)).max())


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted for being several, so that their least one is below a level no more often than said.

    Holm (Scandinavian Journal of Statistics 1979). None stands for no test and stays None.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return adjusted


def wilson_interval(successes: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's score interval of a share.

    Args:
        successes: How many of the trials succeeded; a tie may count half.
        count: Number of trials, at least 1.
        confidence: How often such intervals contain the true share.
    """
    z = float(special.ndtri((1 + confidence) / 2))
    share, weight = successes / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def reachable_p(n: int) -> float:
    """Return the smallest p value that the test by sign flips can give with n pairs: 2^(1 - n)."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(level: float) -> int:
    """Return the fewest pairs with which the test by sign flips can reach a level; 6 for 0.05."""
    n = 1
    while reachable_p(n) > level:
        n += 1
    return n


def detectable_difference(
    n: int, deviation: float, *, level: float = 0.05, power: float = 0.8, margin: float = 0.0, known: bool = False
) -> float:
    """Return the smallest true mean difference that a study like this one would call better or worse.

    A new study of n pairs calls a difference if the paired t test is significant and the two one-sided tests do not
    find it within the margin. The spread of one study is uncertain, so the power is averaged over the spreads that
    could have given the deviation that was seen (their posterior under Jeffreys' prior).

    Args:
        n: Pairs.
        deviation: Standard deviation of the differences of the pairs that were seen.
        level: Chance of a false alarm of one test.
        power: Chance to call the difference.
        margin: Means nearer to 0 than this count as 0.
        known: Whether `deviation` is the true one, not one estimated from n pairs.

    Returns:
        The difference; infinity below two pairs.
    """
    if n < 2:  # noqa: PLR2004 - one difference has no spread
        return math.inf
    generator = np.random.default_rng(0)
    normal = generator.standard_normal(_DRAWS)
    new_spread = np.sqrt(generator.chisquare(n - 1, _DRAWS) / (n - 1))
    true = np.full(_DRAWS, deviation) if known else deviation * np.sqrt((n - 1) / generator.chisquare(n - 1, _DRAWS))
    error = true * new_spread / math.sqrt(n)
    critical = float(special.stdtrit(n - 1, 1 - level / 2))
    one_sided = float(special.stdtrit(n - 1, 1 - level))

    def called(difference: float) -> float:
        mean = difference + true * normal / math.sqrt(n)
        significant = np.abs(mean) > critical * error
        equivalent = np.abs(mean) + one_sided * error < margin
        return float(np.mean(significant & ~equivalent))

    low, high = 0.0, deviation + margin
    while called(high) < power:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if called(middle) < power else (low, middle)
    return high


def chance_over_looks(looks: Sequence[int], level: float) -> float:
    """Return the chance of a false alarm in any of several looks at a growing number of pairs, each at the same level.

    Args:
        looks: Pairs at each look, in order, at least 2 each.
        level: Level of each look.
    """
    return float(np.mean(_least_p(tuple(looks)) <= level))


def level_of_looks(looks: Sequence[int], level: float) -> float:
    """Return the level of each look with which all looks together give a false alarm no more often than `level`.

    A bound that is the same at each look (Pocock, Biometrika 1977), by simulation of the t tests.

    Args:
        looks: Pairs at each look, in order, at least 2 each.
        level: Chance of a false alarm over all looks.
    """
    return min(level, float(np.quantile(_least_p(tuple(looks)), level)))


@lru_cache(maxsize=8)
def _least_p(looks: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the least p value over the looks, for many studies without a difference."""
    values = np.random.default_rng(0).standard_normal((_DRAWS, looks[-1]))
    least = np.ones(_DRAWS)
    for count in looks:
        seen = values[:, :count]
        t = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / math.sqrt(count))
        least = np.minimum(least, 2 * special.stdtr(count - 1, -np.abs(t)))
    return least


def expected_best(scores: Sequence[float], trials: int) -> float:
    """Return the expected best score of so many trials drawn, with replacement, from those that were run.

    Dodge et al. (EMNLP 2019, arXiv:1909.03004), equation 4: expected validation performance against the budget.

    Args:
        scores: Scores of all trials, at least one.
        trials: Number of trials drawn.
    """
    share = np.arange(len(scores) + 1) / len(scores)
    return float(np.sum(np.sort(scores) * np.diff(share**trials)))


def _t(differences: Sequence[float]) -> float:
    mean = math.fsum(differences) / len(differences)
    return mean / (standard_deviation(differences) / math.sqrt(len(differences)))
