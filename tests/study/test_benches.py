"""Methods over several benches, against scipy and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normlab.study.analysis.benches import compare_with, interquartile_mean, performance_profile, rank_methods


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(4, 9)) + np.arange(4)[:, None] * 0.4


def test_mean_ranks_and_friedman_agree_with_scipy(scores):
    found = rank_methods(scores)
    assert found.mean_ranks == pytest.approx(stats.rankdata(-scores, axis=0).mean(axis=1))
    chi = stats.friedmanchisquare(*scores).statistic
    methods, benches = scores.shape
    f = (benches - 1) * chi / (benches * (methods - 1) - chi)  # Iman and Davenport
    assert found.p == pytest.approx(stats.f.sf(f, methods - 1, (methods - 1) * (benches - 1)))


def test_critical_difference_is_that_of_demsars_table():
    # q of 4 classifiers at 0.05 is 2.569 (Dem\u0161ar 2006, table 5a)
    found = rank_methods(np.random.default_rng(1).normal(size=(4, 14)))
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)


def test_comparison_with_a_baseline_is_wilcoxon_adjusted_by_holm(scores):
    plain = [stats.wilcoxon(row - scores[0]).pvalue for row in scores[1:]]
    found = compare_with(scores)
    assert found[0] is None
    assert min(found[1:]) == pytest.approx(3 * min(plain))


def test_interquartile_mean_is_the_trimmed_mean_with_an_interval_around_it():
    values = np.random.default_rng(2).normal(size=(2, 4, 8))
    for found, method in zip(interquartile_mean(values, resamples=300), values):
        assert found.value == pytest.approx(stats.trim_mean(method.ravel(), 0.25))
        assert found.low < found.value < found.high


def test_the_bootstrap_is_stratified_by_bench():
    # benches differ, seeds do not: other seeds would give the same value
    values = np.broadcast_to(np.array([[0.1], [0.5], [0.9]]), (2, 3, 5))
    for found in interquartile_mean(values, resamples=50):
        assert (found.low, found.high) == pytest.approx((found.value, found.value))


def test_performance_profile_is_the_share_of_runs_above_each_threshold():
    values = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.5], [0.5, 0.5]]])
    assert performance_profile(values, [0.0, 0.25, 0.5]).tolist() == [[1.0, 0.5, 0.0], [1.0, 1.0, 0.0]]


@pytest.mark.parametrize("bad", [np.ones((1, 3)), np.ones(3), np.array([[1.0, np.nan], [1.0, 2.0]])])
def test_scores_that_can_not_be_ranked_are_refused(bad):
    with pytest.raises(ValueError, match=r"expected|finite"):
        rank_methods(bad)
