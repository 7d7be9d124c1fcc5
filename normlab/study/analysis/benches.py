"""Methods compared over several benches: data sets, networks, or both.

All functions take `scores`, `(methods, benches)` or `(methods, benches, seeds)`, higher is better. Demšar (JMLR 2006)
has mean ranks, Friedman's test and Nemenyi's critical difference; Agarwal et al. (NeurIPS 2021, arXiv:2108.13264) have
the interquartile mean with a stratified bootstrap, and performance profiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from normlab.study.analysis.statistics import CONFIDENCE, holm, sign_flip_p, signed_ranks

_RESAMPLES = 2000


class Interval(NamedTuple):
    """A value and the ends of its interval."""

    value: float
    low: float
    high: float


class Ranking(NamedTuple):
    """Ranks of methods over benches.

    Attributes:
        mean_ranks: Mean rank of each method, 1 for the best.
        p: Of Friedman's test that all methods are equal, by Iman and Davenport's F statistic.
        critical_difference: Mean ranks nearer than this do not differ, by Nemenyi's test.
    """

    mean_ranks: NDArray[np.float64]
    p: float
    critical_difference: float


def rank_methods(scores: ArrayLike, level: float = 0.05) -> Ranking:
    """Rank methods on each bench, and test whether they differ.

    Args:
        scores: `(methods, benches)`, at least two of each.
        level: Chance of a false alarm of Nemenyi's test, over all pairs of methods.

    Raises:
        ValueError: There are fewer than two methods or benches, or a score is not finite.
    """
    table = _checked(scores, 2)
    methods, benches = table.shape
    ranks = np.apply_along_axis(_ranks, 0, -table)
    mean_ranks = ranks.mean(axis=1)
    spread = np.square(mean_ranks).sum() - methods * (methods + 1) ** 2 / 4
    between = 12 * benches / (methods * (methods + 1)) * spread
    left = benches * (methods - 1) - between
    f = math.inf if left <= 0 else (benches - 1) * between / left
    p = 0.0 if math.isinf(f) else float(special.fdtrc(methods - 1, (methods - 1) * (benches - 1), f))
    from scipy.stats import studentized_range  # noqa: PLC0415 - scipy.stats takes 0.3 s to import

    q = float(studentized_range.ppf(1 - level, methods, np.inf)) / math.sqrt(2)
    return Ranking(mean_ranks, p, q * math.sqrt(methods * (methods + 1) / (6 * benches)))


def compare_with(scores: ArrayLike, baseline: int = 0) -> list[float | None]:
    """Return for each method the p value of Wilcoxon's test beside the baseline over benches, after Holm.

    Args:
        scores: `(methods, benches)`.
        baseline: Index of the baseline, which gets None.
    """
    table = _checked(scores, 2)
    found = [
        None if index == baseline else sign_flip_p(signed_ranks(list(row - table[baseline])))
        for index, row in enumerate(table)
    ]
    return holm(found)


def interquartile_mean(
    scores: ArrayLike, confidence: float = CONFIDENCE, *, resamples: int = _RESAMPLES, seed: int = 0
) -> list[Interval]:
    """Return the interquartile mean of each method over benches and seeds, with a stratified bootstrap interval.

    The mean of the middle half of all scores. Each resample draws seeds anew within each bench, so the interval says
    how far other seeds could move the value, not other benches.

    Args:
        scores: `(methods, benches, seeds)`.
        confidence: How often such intervals contain the true value.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap.
    """
    table = _checked(scores, 3)
    methods, benches, seeds = table.shape
    drawn = np.random.default_rng(seed).integers(0, seeds, (resamples, benches, seeds))
    tail = 100 * (1 - confidence) / 2
    intervals = []
    for method in range(methods):
        resampled = table[method][np.arange(benches)[None, :, None], drawn].reshape(resamples, -1)
        low, high = np.percentile(_middle_mean(resampled), [tail, 100 - tail])
        intervals.append(Interval(float(_middle_mean(table[method].reshape(1, -1))[0]), float(low), float(high)))
    return intervals


def performance_profile(scores: ArrayLike, thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of runs of each method above each threshold, `(methods, thresholds)`.

    Args:
        scores: `(methods, benches, seeds)`.
        thresholds: Scores.
    """
    table = _checked(scores, 3)
    return np.stack([(table > threshold).mean(axis=(1, 2)) for threshold in thresholds], axis=1)


def _middle_mean(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of the middle half of each row, values at its edges counted in part."""
    count = values.shape[1]
    weights = np.clip(np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) - count / 4, 0, 1)
    return np.asarray(np.sort(values, axis=1) @ weights / weights.sum())


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return ranks from 1, ties sharing their mean rank."""
    less = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return np.asarray(less + (equal + 1) / 2, dtype=float)


def _checked(scores: ArrayLike, axes: int) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=float)
    if table.ndim != axes or min(table.shape[:2], default=0) < 2:  # noqa: PLR2004 - nothing to compare below two
        raise ValueError(f"scores of shape {table.shape}; expected {axes} axes, with at least 2 methods and 2 benches")
    if not np.isfinite(table).all():
        raise ValueError("a score is not finite; give runs that diverged a score of their own, such as chance")
    return table
