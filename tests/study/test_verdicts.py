from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from cli_tools import ROOT

from normlab.study.analysis.verdicts import Evidence, Pair, judge

BASE = {0: 0.950, 1: 0.953, 2: 0.951, 3: 0.949, 4: 0.952}


def evidence(shift=0.0, wobble=0.0002, diverged=(), baseline_diverged=(), base=BASE):
    return Evidence(
        tuple(
            (
                Pair(
                    seed,
                    None if seed in diverged else value + shift + wobble * (1, -1, 0.5)[seed % 3],
                    None if seed in baseline_diverged else value,
                ),
            )
            for seed, value in base.items()
        )
    )


def verdict(*several, margin=0.005, level=0.05):
    return [one.verdict for one in judge(several, margin=margin, level=level)]


def many(count):
    return {seed: 0.95 + 0.001 * (seed % 3) for seed in range(count)}


def test_a_clear_difference_is_decided_by_the_t_test():
    judged = judge([evidence(0.02), evidence(-0.02)], margin=0.005, level=0.05)
    assert [one.verdict for one in judged] == ["better", "worse"]
    assert judged[0].reason == "the paired t test says so"
    assert judged[0].adjusted_p <= 0.05 < judged[0].sign_flip_p == 0.0625
    assert (judged[0].ahead, judged[1].ahead) == (5, 0)
    assert judged[0].ahead_interval[0] == pytest.approx(0.5655, abs=1e-4)


def test_a_small_difference_is_equivalent_even_if_it_is_sure():
    (judged,) = judge([evidence(0.002)], margin=0.005, level=0.05)
    assert judged.p < 0.001
    assert judged.verdict == "equivalent"
    assert verdict(evidence(0.002), margin=0.001) == ["better"]


def test_equivalence_follows_the_level_and_the_number_of_arms():
    one = evidence(0.002, wobble=0.0025)
    assert verdict(one) == ["equivalent"]
    assert verdict(one, level=0.001) == ["undecided"]
    assert verdict(one, *[evidence(0, wobble=0.05)] * 30)[0] == "undecided"


def test_a_wide_interval_is_undecided():
    (judged,) = judge([evidence(0.004, wobble=0.02)], margin=0.005, level=0.05)
    assert (judged.verdict, judged.reason) == ("undecided", "chance alone could give this difference")


def test_holm_takes_the_number_of_arms_into_account_and_an_interval_without_0_is_explained():
    one = evidence(0.006, wobble=0.005)
    alone = judge([one], margin=0.001, level=0.05)[0]
    among = judge([one] + [evidence(0, wobble=0.01)] * 6, margin=0.001, level=0.05)[0]
    assert (alone.verdict, among.verdict) == ("better", "undecided")
    assert among.adjusted_p == pytest.approx(7 * alone.p)
    assert among.reason == "with 7 arms compared, one such difference can come by chance"


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_decides_nothing(seeds):
    few = evidence(0.04, base=dict(list(BASE.items())[:seeds]))
    assert verdict(few) == ["undecided"]


@pytest.mark.parametrize(
    "pairs", [[(0.97, 0.96), (0.57, 0.56)], [(0.56, 0.57), (0.57, 0.58), (0.58, 0.59)], [(0.9, 0.9)] * 5]
)
def test_differences_that_are_equal_but_for_rounding_decide_nothing(pairs):
    few = Evidence(tuple((Pair(seed, *pair),) for seed, pair in enumerate(pairs)))
    (judged,) = judge([few], margin=0.005, level=0.05)
    assert judged.verdict == "undecided"
    assert (judged.p, judged.estimate.ends) == (None, None)
    assert judged.reason == "all differences are equal, so there is no spread to compare them with"


def test_differences_of_a_repeat_are_averaged_before_they_are_compared():
    # two tunings, five seeds each: what differs between tunings decides, not the many seeds
    repeats = tuple(
        tuple(Pair(seed, value + shift + 0.0001 * (seed % 3), value) for seed, value in BASE.items())
        for shift in (0.02, -0.018)
    )
    (nested,) = judge([Evidence(repeats)], margin=0.005, level=0.05)
    assert nested.estimate.count == 2
    assert nested.verdict == "undecided"


def test_the_smallest_difference_that_would_be_found_comes_from_the_arms_own_spread():
    narrow, wide = judge([evidence(0.02), evidence(0.02, wobble=0.01)], margin=0.005, level=0.05)
    assert 0.0045 < narrow.detectable(0.05, 0.005) < wide.detectable(0.05, 0.005)


def test_one_run_that_diverged_among_many_does_not_hide_a_difference():
    (judged,) = judge([evidence(0.03, base=many(20), diverged=(4,))], margin=0.005, level=0.05)
    assert judged.verdict == "better"
    assert judged.ahead == 19
    assert judged.reason == "the t test of signed ranks says so, runs that diverged ranked worst"


def test_an_arm_of_which_one_run_diverged_is_not_equivalent():
    assert verdict(evidence(0.0, diverged=(1,))) == ["undecided"]
    assert verdict(evidence(0.0, baseline_diverged=(1,))) == ["undecided"]
    assert verdict(evidence(0.0, diverged=(1,), baseline_diverged=(1,))) == ["equivalent"]


def test_much_more_divergence_is_worse_or_better_by_itself():
    every = evidence(diverged=range(5))
    assert verdict(every) == ["worse"]
    assert verdict(evidence(baseline_diverged=range(5))) == ["better"]
    assert judge([every], margin=0, level=0.05)[0].divergence_p == pytest.approx(2 / 1024)
    assert verdict(every, *[evidence()] * 7)[0] == "worse"


def test_three_of_three_that_diverged_are_worse():
    assert verdict(evidence(base=dict(list(BASE.items())[:3]), diverged=range(3))) == ["worse"]


@pytest.mark.parametrize("arms", [1, 4])
def test_false_alarms_over_all_arms_are_as_rare_as_the_level_says(arms):
    # nothing differs, the arms share a baseline, and a margin of 0 leaves no verdict but these and undecided
    draw, alarms, times = np.random.default_rng(11), 0, 1500
    for _ in range(times):
        runs = draw.normal(0.95, 0.005, (arms + 1, 5)) + draw.normal(0, 0.005, 5)
        base, *others = runs.tolist()
        several = [Evidence(tuple((Pair(s, *pair),) for s, pair in enumerate(zip(other, base)))) for other in others]
        alarms += any(one.verdict != "undecided" for one in judge(several, margin=0, level=0.05))
    assert 0.033 <= alarms / times <= 0.067


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("verdicts_program", ROOT / "benchmarks" / "verdicts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("step", [0.25, 2.0])
def test_repeated_tuning_keeps_the_error_and_a_single_one_does_not(simulation, step):
    cell = simulation.Cell("tuned", 3, 5, 2, options=(("step", step),))
    assert simulation.simulate(cell, 400).wrong <= 0.085  # .05 and three standard errors
    once = simulation.Cell("tuned once", 3, 1, 10, options=(("step", step),))
    assert simulation.simulate(once, 400).wrong > 0.12


def test_false_alarms_stay_rare_where_runs_diverge(simulation):
    cell = simulation.Cell("normal", 3, 8, 1, options=(("diverging", 0.25),))
    assert simulation.simulate(cell, 400).wrong <= 0.085


def test_false_equivalence_at_the_margin_is_rare(simulation):
    cell = simulation.Cell("correlated", 7, 20, 1, truth=simulation.MARGIN)
    assert simulation.simulate(cell, 200).equivalent <= 0.1
