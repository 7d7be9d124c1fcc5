from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
from judging_support import arm, question, run, study, trials

from normlab.errors import NotComparable, SpecError
from normlab.study.analysis.comparison import compare
from normlab.study.design.arms import Arm


def test_rows_are_sorted_by_accuracy_and_judged_against_the_baseline():
    found = compare(question(margin=0.006), study(), pairing="paired: init, batches")
    assert [row.label for row in found.rows] == ["group", "layer", "batch", "none"]
    assert found.verdicts() == {"group": "better", "layer": "better", "batch": "equivalent", "none": "baseline"}
    assert found.baseline.label == "none"
    assert found.baseline.judgement is None
    assert found.pairing == "paired: init, batches"
    assert found.finding() == "Beside none: 2 better, 1 equivalent."


def test_differences_are_paired_by_seed_whatever_the_order_of_runs():
    ours, base = arm("batch", (0.91, 0.95)), arm("none", (0.90, 0.93))
    turned = replace(ours, runs=ours.runs[::-1])
    for one in (ours, turned):
        judged = compare(question(), [base, one]).others[0].judgement
        assert judged.evidence.differences == pytest.approx([0.01, 0.02])


def test_means_are_over_completed_runs_and_the_others_are_told():
    found = compare(question(), [arm("none", (0.9,) * 5), arm("batch", (0.95, 0.1, 0.96, 0.1, 0.97), diverged=(1, 3))])
    row = found.rows[0]
    assert row.accuracy.mean == pytest.approx(0.96)
    assert row.accuracy.count == 3
    assert row.trouble == "2 of 5 diverged (first step 40, dense1.gamma)"
    assert [run.seed for run in row.diverged] == [1, 3]
    assert row.verdict == "undecided"
    assert row.reached[0].runs == 5


def test_runs_that_failed_or_are_missing_are_told_and_do_not_count_as_diverged():
    failed = replace(arm("batch", (0.95, 0.96, 0.97)), failures={3: "killed by signal 9"})
    found = compare(question(seeds=(0, 1, 2, 3, 4)), [arm("none", (0.9,) * 5), failed])
    assert found.rows[0].trouble == "1 of 5 failed, 1 of 5 missing"
    assert found.rows[0].verdict == "better"
    assert found.as_dict()["arms"][0]["failed"] == {"3": "killed by signal 9"}


def test_an_arm_none_of_whose_runs_completed_comes_last():
    found = compare(question(), [arm("none", (0.9,) * 5), arm("batch", (0.9,) * 5, diverged=range(5))])
    row = found.rows[-1]
    assert (row.label, row.accuracy.mean, row.verdict) == ("batch", None, "worse")
    assert row.reached[0].steps is None


def test_without_thresholds_the_baselines_accuracy_is_one():
    arms = [arm("none", (0.913, 0.918)), arm("batch", (0.93, 0.94))]
    assert compare(question(), arms).question.thresholds == (0.91,)
    assert compare(question(thresholds=(0.5, 0.9)), arms).question.thresholds == (0.5, 0.9)
    lost = [arm("none", (0.9, 0.9), diverged=(0, 1)), arms[1]]
    assert compare(question(), lost).question.thresholds == ()


def test_table_has_a_row_an_arm_and_numbers_in_its_columns():
    table = compare(question(thresholds=(0.9,)), study()).table()
    assert list(table.index) == ["group", "layer", "batch", "none"]
    assert table.loc["group", "difference"] == pytest.approx(
        table.loc["group", "accuracy"] - table.loc["none", "accuracy"]
    )
    assert table.loc["group", "difference_low"] < table.loc["group", "difference"]
    assert math.isnan(table.loc["none", "difference"])
    assert table.loc["none", "reached_0.9"] == 5
    assert table.loc["batch", "milliseconds_per_step"] == pytest.approx(2)


def test_curves_have_a_row_an_evaluation_and_split():
    frame = compare(question(), [arm("none", (0.9, 0.8)), arm("batch", (0.9, 0.8), diverged=(1,))]).curves()
    assert list(frame.columns) == ["arm", "seed", "split", "step", "epoch", "seconds", "accuracy", "loss"]
    assert len(frame) == 2 * (10 + 10 + 10 + 2)
    lost = frame[(frame.arm == "batch") & (frame.seed == 1) & (frame.split == "test")]
    assert list(lost.accuracy.isna()) == [False, True]
    assert frame.accuracy.dtype == "float64"


def test_plain_data_hold_everything_and_no_nan():
    arms = [*study(3, 2), arm("gone", (0.9,) * 2, diverged=(0, 1), trials=trials(), chosen={"lr": 0.1})]
    data = compare(question(), arms, warnings=["widen the grid"]).as_dict()
    again = json.loads(json.dumps(data, allow_nan=False))
    assert [one["arm"] for one in again["arms"]] == ["layer", "batch", "none", "gone"]
    assert again["warnings"] == ["widen the grid"]
    gone = again["arms"][-1]
    assert gone["accuracy"] == {"mean": None, "low": None, "high": None, "count": 0}
    assert gone["diverged"][0] == {"seed": 0, "step": 40, "layer": "dense1.gamma"}
    assert again["arms"][0]["difference"]["sign_flip_p"] == 0.5
    assert again["arms"][2]["difference"] is None


def test_one_seed_has_no_interval_and_decides_nothing():
    found = compare(question(), study(3, 1))
    assert set(found.verdicts().values()) == {"undecided", "baseline"}
    assert found.rows[0].accuracy.ends is None
    assert any("fewer than two paired seeds" in note for note in found.notes)


def test_notes_say_what_the_verdicts_rest_on_and_what_would_be_found():
    rule, condition, power = compare(question(), study(4, 6)).notes
    assert "adjusted by Holm for 3 arms, at most 0.05" in rule
    assert condition == "The verdicts hold for this split of the data; other data could turn them."
    assert re.search(r"A true difference of 0\.00\d\d( to 0\.00\d\d, depending on the arm,)? would be called", power)
    tuned = compare(question(nuisance={"optimizer.learning_rate": (0.1, 1.0)}), study(2, 5)).notes
    assert "the values that this one tuning chose" in tuned[1]
    assert "nothing to compare" in compare(question(), study(1, 5)).notes[0]


def test_audit_is_that_of_the_runs_with_the_highest_memory():
    runs = [run("none", seed, network={"parameters": 89610, "peak_memory": 100 + seed}) for seed in (0, 1)]
    row = compare(question(), [Arm("none", {}, {}, tuple(runs))]).rows[0]
    assert row.audit == {"parameters": 89610, "peak_memory": 101}
    assert compare(question(), [Arm("none", {}, {}, tuple(runs))]).table().loc["none", "parameters"] == 89610


def test_a_notebook_is_shown_a_table_with_names_escaped():
    html = compare(question(), study(2, labels=["none", "<script>x</script>"]), warnings=["<i>"])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;i&gt;" in html
    assert "Beside none:" in html


def test_a_baseline_that_is_no_arm_is_told():
    with pytest.raises(SpecError, match=r"no arm 'non'; did you mean 'none'.*expected one of none, batch"):
        compare(question("non"), study(2))


def test_two_arms_of_one_label_and_two_runs_of_one_seed_are_refused():
    with pytest.raises(NotComparable, match="two arms are called 'none'"):
        compare(question(), [arm("none"), arm("none")])
    twice = arm("batch", (0.9, 0.8))
    twice = Arm("batch", {}, {}, (twice.runs[0], twice.runs[1], twice.runs[0]))
    with pytest.raises(NotComparable, match="arm batch has two runs with seed 0"):
        compare(question(), [arm("none"), twice])


def test_a_split_that_was_not_evaluated_is_told():
    with pytest.raises(SpecError, match="split 'validation' was not evaluated"):
        compare(question(split="validation"), study(2))
