from __future__ import annotations

import numpy as np
import pytest

from normlab.study.analysis.verdicts import Evidence, judge

BASE = {0: 0.950, 1: 0.953, 2: 0.951, 3: 0.949, 4: 0.952}


def evidence(shift=0.0, wobble=0.0002, **changes):
    ours = {seed: value + shift + wobble * (-1) ** seed for seed, value in BASE.items()}
    return Evidence(ours, BASE, **changes)


def verdict(*several, margin=0.005, level=0.05):
    return [(one.verdict, one.reason) for one in judge(several, margin=margin, level=level)]


def test_a_clear_difference_is_decided_by_the_t_test():
    judged = judge([evidence(0.02), evidence(-0.02)], margin=0.005, level=0.05)
    assert [one.verdict for one in judged] == ["better", "worse"]
    assert judged[0].reason == "the paired t test says so, after Holm"
    assert judged[0].adjusted_p <= 0.05 < judged[0].sign_flip_p == 0.0625
    assert (judged[0].probability, judged[1].probability) == (1, 0)


def test_a_small_difference_is_equivalent_even_if_it_is_sure():
    (judged,) = judge([evidence(0.002)], margin=0.005, level=0.05)
    assert judged.p < 0.001
    assert judged.verdict == "equivalent"
    assert judge([evidence(0.002)], margin=0.001, level=0.05)[0].verdict == "better"


def test_a_wide_interval_is_undecided():
    assert verdict(evidence(0.004, wobble=0.02)) == [("undecided", "chance alone could give this difference")]


def test_holm_takes_the_number_of_arms_into_account():
    one = evidence(0.006, wobble=0.0045)
    alone = judge([one], margin=0.001, level=0.05)[0]
    among = judge([one] + [evidence(0, wobble=0.01)] * 6, margin=0.001, level=0.05)[0]
    assert (alone.verdict, among.verdict) == ("better", "undecided")
    assert among.adjusted_p == pytest.approx(7 * alone.p)


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_decides_nothing(seeds):
    few = Evidence(dict.fromkeys(range(seeds), 0.99), BASE)
    assert verdict(few) == [("undecided", "fewer than two seeds with which both completed")]


def test_arms_that_are_the_same_to_the_last_bit_are_equivalent():
    assert verdict(Evidence(BASE, BASE))[0][0] == "equivalent"


def test_only_seeds_with_which_both_completed_are_paired():
    ours = {1: 0.96, 3: 0.96, 9: 0.1}
    (judged,) = judge([Evidence(ours, BASE)], margin=0, level=0.05)
    assert judged.differences == pytest.approx({1: 0.007, 3: 0.011})
    assert judged.estimate.count == 2


def test_an_arm_that_diverged_more_often_is_not_better_or_equivalent_by_its_other_runs():
    assert verdict(evidence(0.02, diverged=1)) == [
        ("undecided", "completed runs are better, but more runs of it diverged")
    ]
    assert verdict(evidence(0.0, diverged=1)) == [
        ("undecided", "completed runs are alike, but more runs of it diverged")
    ]
    assert verdict(evidence(-0.02, diverged=1))[0][0] == "worse"


def test_a_baseline_that_diverged_more_often_is_protected_likewise():
    assert verdict(evidence(-0.02, baseline_diverged=1)) == [
        ("undecided", "completed runs are worse, but more runs of the baseline diverged")
    ]
    assert verdict(evidence(0.02, baseline_diverged=1))[0][0] == "better"


def test_equal_divergence_leaves_the_verdict_to_accuracy():
    assert verdict(evidence(0.02, diverged=1, baseline_diverged=1))[0][0] == "better"
    assert verdict(evidence(0.0, diverged=1, baseline_diverged=1))[0][0] == "equivalent"


def test_much_more_divergence_is_worse_or_better_by_itself():
    every = Evidence({}, BASE, diverged=5)
    assert verdict(every) == [("worse", "diverges more often than the baseline")]
    none = Evidence(BASE, {}, baseline_diverged=5)
    assert verdict(none) == [("better", "diverges less often than the baseline")]
    assert judge([every], margin=0, level=0.05)[0].divergence_p == pytest.approx(2 / 252)


def test_three_runs_that_all_diverged_are_too_few():
    three = dict(list(BASE.items())[:3])
    assert verdict(Evidence({}, three, diverged=3)) == [("undecided", "fewer than two seeds with which both completed")]


def test_accuracy_and_divergence_that_contradict_each_other_decide_nothing():
    base = {seed: 0.95 + 0.001 * (seed % 3) for seed in range(20)}
    ours = {seed: base[seed] + 0.02 + 0.0001 * (-1) ** seed for seed in range(10)}
    assert verdict(Evidence(ours, base, diverged=10)) == [
        ("undecided", "completed runs are better, but it diverges more often")
    ]


@pytest.mark.parametrize("arms", [1, 4])
def test_false_alarms_over_all_arms_are_as_rare_as_the_level_says(arms):
    # nothing differs, the arms share a baseline, and a margin of 0 leaves no verdict but these and undecided
    draw, alarms, times = np.random.default_rng(11), 0, 2500
    for _ in range(times):
        runs = draw.normal(0.95, 0.005, (arms + 1, 5)) + draw.normal(0, 0.005, 5)
        base, *others = [dict(enumerate(map(float, row))) for row in runs]
        judged = judge([Evidence(other, base) for other in others], margin=0, level=0.05)
        alarms += any(one.verdict != "undecided" for one in judged)
    assert 0.035 <= alarms / times <= 0.065


def test_false_alarms_stay_rare_where_runs_diverge():
    draw, alarms, times = np.random.default_rng(12), 0, 1500
    for _ in range(times):
        runs, gone = draw.normal(0.95, 0.005, (4, 8)), draw.random((4, 8)) < 0.25
        kept = [{s: float(v) for s, v in enumerate(row) if not gone[i, s]} for i, row in enumerate(runs)]
        lost = gone.sum(axis=1)
        several = [Evidence(kept[i], kept[0], int(lost[i]), int(lost[0])) for i in (1, 2, 3)]
        alarms += any(one.verdict in {"better", "worse"} for one in judge(several, margin=0, level=0.05))
    assert alarms / times <= 0.065
