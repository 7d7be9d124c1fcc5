from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from normlab.study.analysis.statistics import (
    chance_over_looks,
    detectable_difference,
    equivalence_p,
    estimate,
    expected_best,
    holm,
    level_of_looks,
    rates_p,
    reachable_p,
    seeds_needed,
    sign_flip_p,
    signed_ranks,
    t_p,
    wilson_interval,
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


@pytest.mark.parametrize(("ours", "theirs", "n"), [(3, 0, 3), (5, 0, 5), (2, 7, 10), (0, 4, 10), (4, 1, 8)])
def test_unconditional_test_agrees_with_barnards_of_scipy(ours, theirs, n):
    table = [[ours, theirs], [n - ours, n - theirs]]
    assert rates_p(ours, theirs, n) == pytest.approx(stats.barnard_exact(table).pvalue, abs=1e-5)
    assert rates_p(ours, theirs, n) == rates_p(theirs, ours, n)


def test_three_of_three_that_diverged_are_enough():
    assert rates_p(3, 0, 3) == pytest.approx(2 / 64)
    assert rates_p(2, 2, 5) == 1


@pytest.mark.parametrize("n", [4, 9, 14])
def test_signed_ranks_are_those_of_wilcoxon(n):
    values = list(samples(1, n, seed=n)[0] - 0.895)
    assert sign_flip_p(signed_ranks(values)) == pytest.approx(stats.wilcoxon(values).pvalue, rel=1e-9)


def test_signed_ranks_of_ties_zeros_and_runs_that_diverged():
    assert signed_ranks([0.1, -0.1 - 1e-17, 0.0, math.inf, -math.inf, -0.3]) == [2.5, -2.5, 0, 5.5, -5.5, -4]
    assert signed_ranks([]) == []


@pytest.mark.parametrize("margin", [0.002, 0.02])
def test_equivalence_agrees_with_two_one_sided_tests_of_scipy(margin):
    values = samples(1, 8, seed=3)[0] - 0.9
    below = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    above = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence_p(list(values), margin) == pytest.approx(max(below, above), rel=1e-9)


def test_wilson_interval_agrees_with_scipy():
    theirs = stats.binomtest(5, 6).proportion_ci(method="wilson")
    assert wilson_interval(5, 6) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_a_detectable_difference_of_a_known_spread_has_the_power_it_says(n):
    difference = detectable_difference(n, 1.0, known=True)
    critical = stats.t.ppf(0.975, n - 1)
    draws = np.random.default_rng(5).normal(difference, 1, (40_000, n))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * math.sqrt(n)
    assert np.mean(np.abs(t) > critical) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize("n", [3, 10])
def test_a_detectable_difference_of_an_estimated_spread_is_found_as_often_as_it_says(n):
    # over the spreads that could have given the one that was seen
    difference = detectable_difference(n, 1.0)
    draw = np.random.default_rng(6)
    true = np.sqrt((n - 1) / draw.chisquare(n - 1, 40_000))
    draws = difference + true[:, None] * draw.normal(size=(40_000, n))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * math.sqrt(n)
    assert np.mean(np.abs(t) > stats.t.ppf(0.975, n - 1)) == pytest.approx(0.8, abs=0.015)


def test_a_detectable_difference_lies_beyond_the_margin():
    # within it, a difference that is sure is called equivalent
    assert detectable_difference(10, 0.0005, margin=0.005) > 0.9 * 0.005 > 4 * detectable_difference(10, 0.0005)
    assert detectable_difference(1, 1.0) == math.inf


def test_chance_of_a_false_alarm_grows_with_looks_unless_the_level_is_lowered():
    looks = [5, 10, 15, 20, 25]
    assert chance_over_looks([5], 0.05) == pytest.approx(0.05, abs=0.005)
    assert chance_over_looks(looks, 0.05) > 0.12
    draw = np.random.default_rng(9).normal(size=(20_000, 25))
    level = level_of_looks(looks, 0.05)
    least = np.min([stats.ttest_1samp(draw[:, :n], 0, axis=1).pvalue for n in looks], axis=0)
    assert np.mean(least <= level) == pytest.approx(0.05, abs=0.006)


def test_expected_best_is_that_of_all_draws():
    scores = [0.3, 0.1, 0.2]
    by_hand = np.mean([max(pair) for pair in product(scores, repeat=2)])
    assert expected_best(scores, 2) == pytest.approx(by_hand)


def test_degenerate_numbers():
    assert vars(estimate([])) == {"mean": None, "low": None, "high": None, "deviation": None, "count": 0}
    alone = estimate([0.9])
    assert (alone.mean, alone.ends, alone.half) == (0.9, None, None)
    assert t_p([]) is None
    assert t_p([0.1]) is None
    assert sign_flip_p([]) is None


@pytest.mark.parametrize("values", [[0.01, 0.01], [0.01] * 5, [0.0] * 5, [0.97 - 0.96, 0.57 - 0.56]])
def test_equal_differences_have_no_spread_and_so_no_p_and_no_interval(values):
    # accuracies are counts of examples, so that differences are easily the same but for rounding
    found = estimate(values)
    assert (found.low, found.deviation, t_p(values), equivalence_p(values, 0.05)) == (None, None, None, None)


def test_differences_nearer_than_one_example_are_equal():
    assert t_p([0.0100, 0.0101], resolution=0.001) is None
    assert t_p([0.0100, 0.0101], resolution=0.0001) is not None
