from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from normlab.study.analysis.statistics import (
    detectable_difference,
    estimate,
    fisher_p,
    holm,
    probability_better,
    reachable_p,
    seeds_needed,
    sign_flip_p,
    t_p,
)

finite = st.floats(-1, 1, allow_nan=False)


def samples(count, n, seed=0):
    return np.random.default_rng(seed).normal(0.9, 0.01, (count, n))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
def test_interval_and_t_test_agree_with_scipy(n):
    for values in samples(20, n) - 0.9:
        found = estimate(list(values))
        low, high = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high), rel=1e-12, abs=1e-14)
        assert found.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert t_p(list(values)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-11)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_hold_the_true_mean_as_often_as_they_say(n):
    values = samples(10_000, n)
    half = special.stdtrit(n - 1, 0.975) * values.std(axis=1, ddof=1) / math.sqrt(n)
    for row, width in zip(values[:50], half):  # the vectorized interval is the one that is shown
        assert estimate(list(row)).half == pytest.approx(width, rel=1e-9)
    assert 0.93 <= np.mean(np.abs(values.mean(axis=1) - 0.9) <= half) <= 0.97


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_test_alarms_as_often_as_its_level_says(n):
    alarms = np.mean([t_p(list(row - 0.9)) <= 0.05 for row in samples(4000, n, seed=1)])
    assert 0.035 <= alarms <= 0.065


def test_sign_flip_is_that_of_scipy_and_of_all_patterns_by_hand():
    for values in samples(20, 7, seed=2) - 0.897:
        patterns = [abs(sum(s * v for s, v in zip(signs, values))) for signs in product((1, -1), repeat=7)]
        by_hand = np.mean([total >= abs(sum(values)) - 1e-12 for total in patterns])
        assert sign_flip_p(list(values)) == pytest.approx(by_hand, abs=1e-12)
        theirs = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert sign_flip_p(list(values)) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_sign_flip_counts_ties_in_spite_of_rounding():
    # 0.1 + 0.2 is not 0.3: a comparison to the last bit would miss the pattern that is as far from 0
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_p([0.3, 0.1, 0.1, 0.1]) == 2 / 16


def test_many_sign_flips_are_drawn_and_close_to_all():
    values = list(samples(1, 20, seed=3)[0] - 0.896)
    exact, drawn = sign_flip_p(values), sign_flip_p([*values, 0.0])  # a difference of 0 changes nothing
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 100_000))
    assert sign_flip_p([*values, 0.0]) == drawn
    assert sign_flip_p([*values, 0.0], seed=1) != drawn


def test_drawn_p_is_never_zero():
    assert sign_flip_p([0.1] * 60) == pytest.approx(1 / 100_001)


def test_what_sign_flips_can_reach():
    assert [reachable_p(n) for n in (1, 2, 5, 6)] == [1, 0.5, 0.0625, 0.03125]
    for n in (1, 2, 5, 6):
        assert sign_flip_p([0.01 * (k + 1) for k in range(n)]) == reachable_p(n)
    assert [seeds_needed(level) for level in (1, 0.05, 0.05 / 7, 0.01)] == [1, 6, 9, 8]


@given(st.lists(finite, min_size=1, max_size=12))
def test_sign_flip_is_a_p_value_that_no_sign_and_no_order_changes(values):
    p = sign_flip_p(values)
    assert reachable_p(len(values)) <= p <= 1
    assert sign_flip_p([-value for value in values]) == p
    assert sign_flip_p(sorted(values)) == pytest.approx(p)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # as R's p.adjust gives it
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_stays_between_p_and_bonferroni(values):
    adjusted = holm(values)
    for p, q in zip(values, adjusted):
        assert p <= q <= min(1, len(values) * p) + 1e-12
    order = sorted(range(len(values)), key=lambda index: values[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_probability_counts_ties_half():
    assert probability_better([3, 2, 1, 0], [1, 2, 3, 0]) == (1 + 0.5 + 0 + 0.5) / 4
    assert probability_better([], []) is None
    with pytest.raises(ValueError, match="expected pairs"):
        probability_better([1], [])


@pytest.mark.parametrize(("ours", "theirs", "n", "m"), [(5, 0, 5, 5), (3, 0, 10, 10), (0, 2, 4, 9), (1, 1, 3, 3)])
def test_fisher_agrees_with_scipy(ours, theirs, n, m):
    table = [[ours, n - ours], [theirs, m - theirs]]
    assert fisher_p(ours, theirs, n, m) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-12)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_detectable_difference_has_the_power_it_says(n, level):
    difference = detectable_difference(n, level)
    critical = stats.t.ppf(1 - level / 2, n - 1)
    draws = np.random.default_rng(5).normal(difference, 1, (40_000, n))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * math.sqrt(n)
    assert np.mean(np.abs(t) > critical) == pytest.approx(0.8, abs=0.01)
    if n > 3 or level == 0.05:  # with few values and a large shift scipy's noncentral t is of no use
        assert stats.nct.sf(critical, n - 1, difference * math.sqrt(n)) == pytest.approx(0.8, abs=1e-5)


def test_detectable_difference_shrinks_with_seeds_and_is_infinite_without_a_spread():
    found = [detectable_difference(n) for n in range(1, 12)]
    assert found[0] == math.inf
    assert found == sorted(found, reverse=True)
    assert detectable_difference(5, power=0.9) > detectable_difference(5)


def test_degenerate_numbers():
    assert vars(estimate([])) == {"mean": None, "low": None, "high": None, "deviation": None, "count": 0}
    alone = estimate([0.9])
    assert (alone.mean, alone.ends, alone.half) == (0.9, None, None)
    assert not alone.within(1)
    same = estimate([0.5] * 4)
    assert (same.mean, same.ends, same.deviation) == (0.5, (0.5, 0.5), 0)
    assert t_p([]) is None
    assert t_p([0.1]) is None
    assert sign_flip_p([]) is None


def test_equal_differences_are_never_certain():
    # accuracies are counts of examples, so that two differences are easily the same; a t of infinity proves nothing
    assert t_p([0.01, 0.01]) == reachable_p(2)
    assert t_p([0.01] * 5) == reachable_p(5)
    assert t_p([0.0] * 5) == 1.0
