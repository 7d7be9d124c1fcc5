from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from cli_tools import normlab, program
from judging_support import arm, question, run, stored, study

from normlab.cli.views import comparison_view
from normlab.errors import ExitStatus
from normlab.study.analysis.comparison import compare
from normlab.study.design.arms import Arm

SPEC = "dataset: mnist\nmodel: mlp\nnorm: {norm}\noptimizer: {{name: sgd, learning_rate: {rate}}}\nseed: {seed}\n"


def spec(history, rate=0.1):
    return SPEC.format(norm=history.label, rate=rate, seed=history.seed)


@pytest.fixture
def runs(tmp_path):
    """Four arms with five seeds each, stored; their folder."""
    for one in study(4, 5):
        for history in one.runs:
            stored(tmp_path / "runs", history, spec(history))
    return tmp_path / "runs"


def test_report_compares_all_runs_below_a_folder(capsys, runs, tmp_path):
    ended = normlab(capsys, "report", runs, "--out", tmp_path / "out")
    assert ended.status == 0
    assert "Beside none: 3 better." in ended.out
    assert "arm    verdict   accuracy" in ended.out
    assert (tmp_path / "out" / "report.html").exists()
    assert str(tmp_path / "out" / "report.html") in ended.out


def test_report_as_json_is_the_comparison_and_its_files(capsys, runs, tmp_path):
    some = [str(path) for path in sorted((runs / "mnist_fair").iterdir()) if path.name.startswith(("none", "batch"))]
    ended = normlab(capsys, "report", *some, "--out", tmp_path / "out", "--baseline", "batch", "--json")
    told = json.loads(ended.out)
    assert told["question"]["baseline"] == "batch"
    assert told["question"]["seeds"] == [0, 1, 2, 3, 4]
    assert [one["arm"] for one in told["arms"]] == ["batch", "none"]
    assert told["paths"]["report"] == str(tmp_path / "out" / "report.html")


def test_options_are_those_of_the_question(capsys, runs, tmp_path):
    asked = ("--threshold", "0.5", "--threshold", "0.9", "--margin", "0.02", "--level", "0.01", "--split", "train")
    told = json.loads(normlab(capsys, "report", runs, "--out", tmp_path, *asked, "--json").out)["question"]
    assert (told["thresholds"], told["margin"], told["level"], told["split"]) == ([0.5, 0.9], 0.02, 0.01, "train")


def test_without_none_the_first_arm_is_the_baseline(capsys, runs, tmp_path):
    some = [path for path in sorted((runs / "mnist_fair").iterdir()) if not path.name.startswith("none")]
    told = json.loads(normlab(capsys, "report", *some, "--out", tmp_path, "--json").out)
    assert told["question"]["baseline"] == "batch"


def test_runs_that_differ_in_more_are_refused_unless_allowed(capsys, tmp_path):
    for label, rate in (("none", 0.1), ("batch", 0.2)):
        for seed in (0, 1):
            history = run(label, seed, 0.9 + 0.01 * seed)
            stored(tmp_path / "runs", history, spec(history, rate))
    refused = normlab(capsys, "report", tmp_path / "runs", "--out", tmp_path / "out")
    assert refused.status == ExitStatus.DATA
    assert "optimizer.learning_rate: 0.2" in refused.err
    assert "spec.yaml:4" in refused.err
    assert not (tmp_path / "out").exists()
    allowed = normlab(
        capsys, "report", tmp_path / "runs", "--out", tmp_path / "out", "--allow", "optimizer.learning_rate"
    )
    assert allowed.status == 0
    assert "optimizer.learning_rate" in allowed.err  # a warning
    assert "optimizer.learning_rate" in (tmp_path / "out" / "report.html").read_text()


def test_two_runs_of_one_norm_and_seed_are_refused(capsys, tmp_path):
    for name in ("a", "b"):
        history = run("none")
        stored(tmp_path, replace(history, header=replace(history.header, name=name)), spec(history))
    ended = normlab(capsys, "report", tmp_path, "--out", tmp_path / "out")
    assert ended.status == ExitStatus.DATA
    assert "arm none has two runs with seed 0" in ended.err


def test_unfinished_runs_are_left_out_and_told(capsys, runs, tmp_path):
    (runs / "mnist_fair" / "rms-s9-0123456789").mkdir()
    unfinished = next((runs / "mnist_fair").glob("batch-s3*"))
    (unfinished / "result.json").unlink()
    ended = normlab(capsys, "report", runs, "--out", tmp_path / "out")
    assert ended.status == 0
    assert f"left out, since they have not ended: {unfinished}" in ended.err


LIGHT = """
import sys
from normlab.cli.process import perform
status = perform(ARGUMENTS)
assert not {name.partition(".")[0] for name in sys.modules} & {"pydantic", "pandas", "mxnet", "rich"}, sys.modules
assert not {"matplotlib.pyplot", "matplotlib.style.core"} & set(sys.modules)
import gc
from matplotlib.artist import kwdoc
from matplotlib.lines import Line2D
assert gc.isenabled() and "linewidth" in kwdoc(Line2D)
sys.exit(status)
"""


def test_report_loads_only_what_it_needs_since_loading_takes_most_of_its_two_seconds(runs, tmp_path):
    arguments = ["report", str(runs), "--out", str(tmp_path / "out")]
    with program(LIGHT.replace("ARGUMENTS", repr(arguments)), stdout=subprocess.PIPE) as reporting:
        out, _ = reporting.communicate()
    assert reporting.returncode == 0
    assert "report.html" in out


@pytest.mark.parametrize(("make", "told"), [(True, "no run that ended"), (False, "no such folder")])
def test_nothing_to_report_is_told(capsys, tmp_path, make, told):
    if make:
        (tmp_path / "runs").mkdir()
    ended = normlab(capsys, "report", tmp_path / "runs")
    assert ended.status == ExitStatus.STORAGE
    assert told in ended.err


def test_a_baseline_that_is_no_arm_is_the_persons_mistake(capsys, runs, tmp_path):
    ended = normlab(capsys, "report", runs, "--out", tmp_path, "--baseline", "bach")
    assert ended.status == ExitStatus.SPEC
    assert "did you mean 'batch'?" in ended.err


def test_plain_table_is_aligned_and_draws_intervals(capsys):
    comparison_view.show(compare(question(thresholds=(0.9,)), study(3, 5)))
    lines = capsys.readouterr().out.splitlines()
    header = lines[1]
    for line in lines[2:5]:
        assert line[header.index("accuracy") + len("accuracy") - 1].isdigit()
        assert "o" in line[header.index("±") :]
    assert len({line.index("0.9", 20) for line in lines[2:5]}) == 1


def test_troubled_arms_are_explained_below(capsys):
    lost = arm("batch", (0.95, 0.952, 0.951, 0.949, 0.95), diverged=(1,))
    found = compare(question(), [arm("none", (0.9,) * 5), Arm("batch", {}, {}, lost.runs, (), {5: "killed"})])
    comparison_view.show(found)
    out = capsys.readouterr().out
    assert "* batch: 1 of 6 diverged (step 40, dense1.gamma), 1 of 6 failed" in out
    assert "batch: undecided: ahead in 4 of 5 seeds; 1 of its repeats diverged and 0 of the baseline's" in " ".join(
        out.split()
    )


def test_bar_shows_the_mean_in_its_interval_and_the_baseline():
    found = compare(question(), study(3, 5))
    bars = {row.label: comparison_view.bar(row, found) for row in found.rows}
    assert {len(bar) for bar in bars.values()} == {24}
    assert bars["layer"].index("o") > bars["batch"].index("o") > bars["none"].index("o")
    assert bars["layer"].index("|") == bars["none"].index("o")
    assert "-o-" in bars["layer"]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_terminal_gets_as_many_columns_as_fit(width):
    from io import StringIO  # noqa: PLC0415 - as the next

    from rich.console import Console  # noqa: PLC0415 - as in the view

    found = compare(question(thresholds=(0.9,)), study(3, 5))
    stream = StringIO()
    Console(file=stream, width=width).print(comparison_view._drawn(found, width))
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    for told in ("layer", "better", f"{found.rows[0].accuracy.mean:.4f}"):
        assert told in text
    assert ("95 %" in text) == (width > 100)
