from __future__ import annotations

import io
import json
import re

import pytest
from cli_tools import normlab
from rich.console import Console
from rich.live import Live
from study_support import STUDY, TUNED, history, written

import normlab as package
from normlab.cli.views.study_live import StudyTable
from normlab.cli.views.study_view import StudyLines
from normlab.study.design.arms import Trial
from normlab.study.execution.jobs import Job
from normlab.study.execution.pool import thread_budget


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    written(folder, STUDY)
    written(folder, TUNED, name="tuned.yaml")
    return folder


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def compare(capsys, folder, *words, study="study.yaml"):
    return normlab(capsys, "compare", folder / study, "--out", folder / "runs", "--jobs", "1", *words)


def test_a_plan_tells_runs_time_and_power_and_trains_nothing(capsys, folder):
    ended = compare(capsys, folder, "--plan", study="tuned.yaml")
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith(
        "tuned: 3 arms x 2 seeds, optimizer.learning_rate tuned by 3 trials an arm; baseline none"
    )
    assert lines[2].split() == ["arm", "trials", "stored", "runs", "stored", "left", "by"]
    for line, arm in zip(lines[3:6], ("none", "batch", "group")):
        assert re.fullmatch(rf"{arm} +6 +0 +2 +0 +\d+ (seconds|minutes) +timed", line)
    assert re.match(
        r"24 runs to do, 0 stored; about .* with 1 worker of 1 thread, by short runs timed just now", lines[7]
    )
    assert "smallest difference that 2 seeds show with 80 % power" in lines[8]
    assert "2 paired seeds can never reach p < 0.05 over 2 arms by sign flips" in lines[9]
    assert not list((folder / "runs").glob("small/*"))


def test_enough_seeds_leave_nothing_to_warn_of(capsys, folder):
    text = compare(capsys, folder, "--plan", "--seeds", "8").out
    assert "never" not in text
    plan = json.loads(compare(capsys, folder, "--plan", "--seeds", "8", "--json").out)
    assert plan["left"] == 16
    assert plan["reachable"] == 2 ** (1 - 8)
    assert plan["arms"][0] | {"seconds": 0} == {
        "label": "none", "trials": 0, "trials_done": 0, "finals": 8, "finals_done": 0, "seconds": 0,
        "bases": ["timed"],
    }  # fmt: skip
    assert plan["seconds_left"] > 0


def test_a_study_runs_and_is_found_done(capsys, folder):
    ended = compare(capsys, folder)
    assert ended.status == 0, ended.err
    assert ended.out.startswith("2 arms, 2 runs each: none, batch\n")
    assert "[4/4] " in ended.out
    assert "paired: init, batches" in ended.out
    assert "report.html" in ended.out
    again = compare(capsys, folder)
    assert again.out.count("stored already") == 4
    plan = compare(capsys, folder, "--plan").out
    assert "0 runs to do, 4 stored\n" in plan
    more = compare(capsys, folder, "--plan", "--seeds", "3", "--norms", "none,batch,layer").out.splitlines()
    assert [line.split()[0] + " " + line.split()[-1] for line in more[3:6]] == [
        "none stored", "batch stored", "layer timed",
    ]  # fmt: skip
    assert "5 runs to do, 4 stored; about" in more[7]
    assert "by stored runs and short runs timed just now" in more[7]
    (study,) = (folder / "runs" / "studies").iterdir()
    assert {"study.json", "study.yaml", "report.html"} <= {path.name for path in study.iterdir()}
    repeated = normlab(capsys, "compare", study / "study.yaml", "--out", folder / "runs", "--json")
    assert json.loads(repeated.out)["directory"] == str(study)


def test_json_is_the_comparison_and_nothing_else(capsys, folder):
    found = json.loads(compare(capsys, folder, "--json").out)
    assert {arm["arm"] for arm in found["arms"]} == {"none", "batch"}
    assert found["failures"] == 0
    assert found["pairing"].startswith("paired: init, batches")
    assert "report" in found["paths"]


def test_the_same_from_python(folder):
    comparison = package.compare(folder / "study.yaml", out=folder / "runs", jobs=1)
    assert comparison.verdicts()["none"] == "baseline"
    assert set(comparison.verdicts()) == {"none", "batch"}
    spec = package.load_spec(folder / "small.yaml")
    again = package.compare(spec, norms=["none", "batch"], seeds=2, out=folder / "runs", jobs=1)
    assert again.verdicts() == comparison.verdicts()
    assert len(again.table()) == 2


def test_options_change_the_study(capsys, folder):
    words = ["--norms", "none,layer", "--seeds", "1", "--sweep", "optimizer.learning_rate=0.01,0.1", "--margin", "0.1"]
    plan = json.loads(compare(capsys, folder, "--plan", "--json", *words, study="small.yaml").out)
    assert [(arm["label"], arm["trials"], arm["finals"]) for arm in plan["arms"]] == [("none", 2, 1), ("layer", 2, 1)]
    assert plan["detectable"] is None
    assert "can't show any difference" in compare(capsys, folder, "--plan", *words, study="small.yaml").out


def test_failed_runs_end_with_status_7_and_are_told(capsys, tmp_path):
    written(tmp_path, STUDY.replace("[none, batch]", "[none, {name: group, groups: 7}]"))
    ended = compare(capsys, tmp_path)
    assert ended.status == 7, ended.err
    assert "failed: group, seed 0:" in ended.err
    assert "2 runs failed; the same command tries them again" in ended.err
    assert "group: no run of seed 0, 1: " in ended.err
    without_baseline = compare(capsys, tmp_path, "--baseline", "group")
    assert without_baseline.status == 7
    assert "2 runs failed, and no run of the baseline ended" in without_baseline.err


def test_mistakes_are_told_before_anything_runs(capsys, folder):
    ended = compare(capsys, folder, "--norms", "none,bach")
    assert ended.status == 2
    assert ended.err.startswith("--norms none,bach: norm.name: ")
    assert "did you mean 'batch'?" in ended.err
    assert ended.out == ""


def test_the_thread_budget_is_told_in_the_plan(capsys, folder, monkeypatch):
    monkeypatch.setattr("normlab.study.execution.pool.processors", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert thread_budget(2) == (2, 2)
    ended = normlab(
        capsys, "compare", folder / "study.yaml", "--out", folder / "other", "--jobs", "2", "--plan", "--json"
    )
    plan = json.loads(ended.out)
    assert (plan["jobs"], plan["threads"]) == (2, 2)


def test_a_closed_pipe_does_not_end_a_study():
    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            pass

        def fileno(self):
            raise OSError

    view = StudyLines("test", Closed())
    view.line("one")
    view.line("two")
    assert not view.read


def test_the_live_table_has_a_row_an_arm_with_what_runs_and_the_mean_so_far():
    screen = io.StringIO()
    view = StudyTable("test", screen)
    view.console = Console(file=screen, width=100)
    view.live = Live(console=view.console, auto_refresh=False, get_renderable=view.table, transient=True)
    trial, final = Job(0, "trial", 0, 1_000_000, {"optimizer.learning_rate": 0.1}), Job(0, "final", 0, 3, {})
    with view:
        view.planned(["none", "[bold]batch"], 4)
        view.running("none", trial, 5, 10)
        assert "trial step 5/10" in drawn(view)
        view.ended("none", trial, history(split="validation"), trained=True)
        view.chosen("none", Trial({"optimizer.learning_rate": 0.1}, (), 0.9))
        view.running("none", final, 15, 30)
        assert "seed 3 step 15/30" in drawn(view)
        view.ended("none", final, history(accuracy=0.9), trained=True)
        view.ended("none", Job(0, "final", 0, 4, {}), history(accuracy=None), trained=True)
        view.failed("none", Job(0, "final", 0, 5, {}), "no room")
        view.retried("none", final, "its process was ended by SIGKILL; tried once more")
    row = next(line for line in drawn(view).splitlines() if line.startswith("none")).split()
    assert row[2:] == ["3/4", "0.9000", "1", "1", "learning_rate", "0.1"]
    assert "[bold]batch" in drawn(view)
    above = screen.getvalue()
    assert "none, seed 4: diverged at step 30, dense0.weight" in above
    assert "failed: none, seed 5: no room" in above
    assert "SIGKILL" in above


def drawn(view):
    with view.console.capture() as capture:
        view.console.print(view.table())
    return capture.get()
