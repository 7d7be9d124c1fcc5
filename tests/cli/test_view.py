from __future__ import annotations

import io
import re
import sys
from datetime import datetime
from pathlib import Path

import pytest

from normlab.cli.run import choose_view
from normlab.cli.views import run_live as live
from normlab.cli.views import run_view as summary
from normlab.cli.views import run_view as view
from normlab.experiment.observer import Plan
from normlab.runs.history import Header, History, Record, Result

PLAN = Plan("mnist_bn", "batch", 7, ("cpu(0)",), Path("runs/mnist_bn/batch-s7-0123456789"), first_step=0, steps=100)
WHEN = datetime(2026, 11, 24, 12, 31, 20)  # noqa: DTZ001 - a person's clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def record(step=20, train=0.843, test=0.8531):
    return Record(step, step / 550, step * 100, 0.5, {"train": train, "test": test}, {"train": 1.25, "test": None})


def history(directory=None, status="completed", **changes):
    header = Header("mnist_bn", "batch", 7, ("train", "test"), "0123456789abcdef")
    records = (record(20), record(40, 0.9, 0.875), record(60, 0.8871, None))
    whole = History(header, records)
    settings = {
        "steps": 60, "seconds": 4.125, "training_seconds": 1.0, "evaluation_seconds": 1.5,
        "final": whole.final(), "best": whole.best(), **changes,
    }  # fmt: skip
    return History(header, records, Result(status, **settings), directory)


def test_line_of_an_evaluation_is_the_notebooks():
    expected = "[2026-11-24 12:31:20] Step 20, train accuracy 0.8430, test accuracy 0.8531"
    assert view.evaluation_line(record(), WHEN) == expected


def test_accuracy_that_is_not_finite_is_called_missing():
    assert view.evaluation_line(record(test=None), WHEN).endswith("train accuracy 0.8430, test accuracy missing")


def test_pipe_gets_plain_lines_only(capsys):
    lines = choose_view(quiet=False, as_json=False)
    with lines:
        lines.started(PLAN)
        for step in range(1, 101):
            lines.stepped(step)
        lines.evaluated(record())
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first == "mnist_bn: norm batch, seed 7, 100 steps on cpu(0)"
    assert re.fullmatch(
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] Step 20, train accuracy 0.8430, test accuracy 0.8531", second
    )
    assert "\x1b" not in out
    assert err == ""


def test_resumed_run_says_where_it_goes_on(capsys):
    view.RunLines(sys.stdout).started(Plan("a", "none", 0, ("cpu(0)",), Path("runs/a/x"), first_step=40, steps=100))
    assert capsys.readouterr().out.splitlines()[1] == f"resuming at step 40: {Path('runs/a/x')}"


def test_run_that_was_done_before_says_so_and_how_to_redo_it(capsys):
    view.RunLines(sys.stdout).reused(history(Path("runs/a/x")))
    assert capsys.readouterr().out == f"this run is stored already: {Path('runs/a/x')}; --again trains it once more\n"


def test_warnings_go_to_standard_error(capsys):
    choose_view(quiet=False, as_json=False).warned("no GPU here; training on the CPU")
    assert capsys.readouterr() == ("", "warning: no GPU here; training on the CPU\n")


@pytest.mark.parametrize("choice", [{"quiet": True, "as_json": False}, {"quiet": False, "as_json": True}])
def test_quiet_and_json_show_nothing_of_the_training(capsys, choice):
    silent = choose_view(**choice)
    with silent:
        silent.started(PLAN)
        silent.stepped(1)
        silent.evaluated(record())
    assert capsys.readouterr().out == ""


def test_json_warns_on_standard_error_but_quiet_does_not(capsys):
    choose_view(quiet=False, as_json=True).warned("beware")
    assert capsys.readouterr() == ("", "warning: beware\n")
    choose_view(quiet=True, as_json=False).warned("beware")
    assert capsys.readouterr() == ("", "")


def test_terminal_gets_a_bar_with_step_rate_and_time_left_below_the_lines(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    lines = choose_view(quiet=False, as_json=False)
    assert isinstance(lines, live.RunProgress)
    with lines:
        lines.started(PLAN)
        for step in range(1, 51):
            lines.stepped(step)
        lines.progress.refresh()
        lines.evaluated(record())
    text = terminal.getvalue()
    assert re.search(r"50/100", text)
    assert re.search(r"\d+ steps/s", text)
    assert re.search(r"\d:\d\d:\d\d", text.rpartition("steps/s")[2])
    assert "Step 20, train accuracy 0.8430, test accuracy 0.8531" in text
    assert text.endswith("\x1b[?25h") or text.rstrip("\x1b[2K1A\r\n").endswith("\x1b[?25h")


def test_bar_of_a_json_run_is_on_standard_error_if_that_is_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    chosen = choose_view(quiet=False, as_json=True)
    assert isinstance(chosen, live.RunProgress)
    assert chosen.stream is sys.stderr


def test_names_with_markup_are_shown_as_they_are():
    terminal = Terminal()
    with live.RunProgress(terminal) as lines:
        lines.line("[bold]x[/bold] :smile: [/]")
    assert "[bold]x[/bold] :smile: [/]" in terminal.getvalue()


def test_run_goes_on_when_nobody_reads_its_lines():
    class Closed(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    lines = view.RunLines(Closed())
    lines.evaluated(record())
    lines.evaluated(record())
    assert not lines.read


def test_summary_is_a_short_table_and_the_paths_written(tmp_path):
    for name in ("history.jsonl", "accuracy.svg", "result.json"):
        (tmp_path / name).touch()
    lines = summary.lines(*with_result(history(tmp_path)))
    text = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    assert text == [
        "",
        "       accuracy    best  at step     loss",
        "train    0.8871  0.9000       40   1.2500",
        "test    missing  0.8750       40  missing",
        "",
        "completed after 60 steps: 4.12 seconds (training 1.00, evaluation 1.50)",
        "",
        f"history  {tmp_path / 'history.jsonl'}",
        f"plot     {tmp_path / 'accuracy.svg'}",
        f"result   {tmp_path / 'result.json'}",
    ]


def test_summary_of_a_split_without_any_finite_accuracy_says_missing():
    header = Header("a", "none", 0, ("train",), "0")
    whole = History(header, (Record(1, 0.1, 1, 0.1, {"train": None}, {"train": None}),))
    result = Result("diverged", 1, 1.0, 0.5, 0.5, whole.final(), whole.best())
    assert "train   missing  missing        -  missing" in summary.lines(whole, result)


def test_result_for_a_program_has_what_was_stored_and_where(tmp_path):
    (tmp_path / "history.jsonl").touch()
    found = summary.as_dict(*with_result(history(tmp_path)))
    assert found["status"] == "completed"
    assert (found["name"], found["norm"], found["seed"]) == ("mnist_bn", "batch", 7)
    assert (found["seconds"], found["training_seconds"], found["evaluation_seconds"]) == (4.125, 1.0, 1.5)
    assert found["directory"] == str(tmp_path)
    assert found["paths"] == {"history": str(tmp_path / "history.jsonl")}
    assert [each["step"] for each in found["history"]] == [20, 40, 60]
    assert found["history"][2]["test_accuracy"] is None
    assert found["final"]["train_accuracy"] == 0.8871


def with_result(whole):
    return whole, whole.result
