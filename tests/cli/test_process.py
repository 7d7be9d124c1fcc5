from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager

import click
import pytest
from cli_tools import ROOT, Ready, environment, normlab, process, program

from normlab import errors
from normlab.cli.app import root
from normlab.cli.process import Terminated
from normlab.errors import ExitStatus


def error_tree(error=errors.NormlabError):
    yield error
    for child in error.__subclasses__():
        if child.__module__ == "normlab.errors":
            yield from error_tree(child)


@pytest.fixture
def command(monkeypatch):
    """Adds a command `probe` that does what the test says."""

    def add(function):
        monkeypatch.setitem(root.entries, "probe", Ready(function))

    return add


@pytest.fixture
def failing(command):
    """Adds a command `probe` that raises."""

    def add(error):
        def fail():
            raise error

        command(fail)

    return add


@pytest.mark.parametrize("kind", list(error_tree()), ids=lambda kind: kind.__name__)
def test_each_error_of_normlab_ends_with_its_status_and_its_message_alone(capsys, failing, kind):
    failing(kind("here: this is wrong; that was expected; do so"))
    ended = normlab(capsys, "probe")
    assert ended == (kind.status, "", "here: this is wrong; that was expected; do so\n")


def test_exit_status_of_a_command_is_that_of_the_process(capsys, command):
    command(lambda: ExitStatus.SOME_FAILED)
    assert normlab(capsys, "probe") == (7, "", "")


def test_unexpected_error_is_called_a_defect_in_few_lines(capsys, failing):
    failing(ZeroDivisionError("division\nby zero " + "x" * 1000))
    ended = normlab(capsys, "probe")
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert "unexpected ZeroDivisionError: division by zero" in ended.err
    assert "defect of normlab" in ended.err
    assert "--debug" in ended.err
    assert len(ended.err.splitlines()) == 3
    assert max(map(len, ended.err.splitlines())) < 300


@pytest.mark.parametrize("asked", ["option", "environment"])
@pytest.mark.parametrize("error", [errors.SpecError("a.yaml: wrong"), KeyError("x")], ids=["person", "defect"])
def test_debug_shows_the_traceback_above_the_message(capsys, monkeypatch, command, error, asked):
    @click.option("--debug", is_flag=True, expose_value=False)
    def fail():
        raise error

    command(fail)
    if asked == "environment":
        monkeypatch.setenv("NORMLAB_DEBUG", "1")
    ended = normlab(capsys, "probe", *(["--debug"] if asked == "option" else []))
    assert ended.err.startswith("Traceback (most recent call last)")
    assert "in fail" in ended.err
    assert ended.status == getattr(error, "status", 1)


@pytest.mark.parametrize("value", ["", "0"])
def test_debug_is_off_when_its_variable_says_so(capsys, monkeypatch, failing, value):
    monkeypatch.setenv("NORMLAB_DEBUG", value)
    failing(KeyError("x"))
    assert "Traceback" not in normlab(capsys, "probe").err


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (Terminated(), 143), (click.Abort(), 130)],
    ids=["int", "term", "abort"],
)
def test_interruption_is_told_without_traceback(capsys, failing, error, status):
    failing(error)
    assert normlab(capsys, "probe") == (status, "", "interrupted\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_an_error_of_storage_that_names_the_file(capsys, failing, number):
    failing(OSError(number, "No space left on device", "runs/x/history.jsonl"))
    ended = normlab(capsys, "probe")
    assert ended.status == 6
    assert ended.err.startswith("runs/x/history.jsonl: not written: No space left on device")


def test_other_errors_of_the_system_are_defects(capsys, failing):
    failing(OSError(errno.EBADF, "Bad file descriptor"))
    assert normlab(capsys, "probe").status == 1


def test_broken_pipe_elsewhere_is_not_taken_for_our_own_output(capsys, failing):
    failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    ended = normlab(capsys, "probe")
    assert ended.status == 1
    assert "BrokenPipeError" in ended.err


def test_full_standard_output_is_an_error_of_storage():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "normlab", "--help"],
            env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.startswith("standard output: not written: No space left")
    assert len(done.stderr.splitlines()) == 1


LONG_OUTPUT = """
from cli_tools import Ready
from normlab.cli import main
from normlab.cli.app import root
import click, sys

def probe():
    for number in range(200_000):
        click.echo(f"line {number}")
root.entries["probe"] = Ready(probe)
main(["probe"])
"""


def test_output_cut_off_by_head_is_silent():
    with program(LONG_OUTPUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == "line 0\n"
        writer.stdout.close()
        assert writer.stderr.read() == ""
    assert writer.returncode == 0


def test_both_outputs_cut_off_are_silent_too():
    with program(LONG_OUTPUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as writer:
        assert writer.stdout.readline() == "line 0\n"
    assert writer.returncode == 0


def test_warnings_of_libraries_do_not_reach_the_screen(capsys, command):
    def probe():
        warnings.warn("np.bool is deprecated", FutureWarning, stacklevel=1)

    command(probe)
    assert normlab(capsys, "probe") == (0, "", "")


def test_warnings_are_shown_when_asked_for():
    text = """
from cli_tools import Ready
from normlab.cli import main
from normlab.cli.app import root
import warnings
root.entries["probe"] = Ready(lambda: warnings.warn("np.bool is deprecated", FutureWarning))
import sys
main(["probe"])
"""
    for option, seen in (([], False), (["-W", "default"], True)):
        env = environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
        done = subprocess.run(
            [sys.executable, *option, "-c", text], env=env, capture_output=True, text=True, check=False
        )
        assert ("np.bool is deprecated" in done.stderr) is seen


# A command that works, and takes `patience` seconds to stop in good order.
WORKING = """
from cli_tools import Ready
from normlab.cli import main
from normlab.cli.app import root
import time

def probe():
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        time.sleep({patience})
        print("in good order", flush=True)
root.entries["probe"] = Ready(probe)
main(["probe"])
"""


@contextmanager
def started(patience, before=""):
    text = before + WORKING.format(patience=patience)
    with program(text, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as working:
        try:
            assert working.stdout.readline() == "working\n"
            yield working
        finally:
            working.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_stops_in_good_order(number, status):
    with started(patience=0) as working:
        working.send_signal(number)
        out, err = working.communicate(timeout=30)
    assert out == "stopping\nin good order\n"
    assert err == "interrupted\n"
    assert working.returncode == status


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_second_signal_ends_at_once(number, status):
    with started(patience=60) as working:
        working.send_signal(number)
        assert working.stdout.readline() == "stopping\n"
        begun = time.monotonic()
        working.send_signal(number)
        out, _ = working.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert out == ""
    assert working.returncode == status


def test_signal_that_the_process_was_told_to_ignore_stays_ignored():
    with started(0, before="import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n") as working:
        working.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert working.poll() is None
        working.send_signal(signal.SIGTERM)
        working.communicate(timeout=30)
    assert working.returncode == 143


def test_documented_statuses_are_the_real_ones():
    text = (ROOT / "docs" / "exit-statuses.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .* \|(.*)\|$", text, re.MULTILINE)
    assert {name: int(status) for status, name, _ in rows} == {each.name: each.value for each in ExitStatus}
    documented = {error: int(status) for status, _, cell in rows for error in re.findall(r"`(\w+)`", cell)}
    documented["Interrupted"] = ExitStatus.INTERRUPTED  # stands in two rows, the second for SIGTERM
    assert documented == {error.__name__: error.status for error in error_tree()}


def test_usage_error_says_where_what_and_how_to_go_on():
    ended = process("run")
    assert ended.status == 2
    first, usage, help_line = ended.err.splitlines()
    assert first == "normlab run: missing argument 'SPEC'"
    assert usage == "Usage: normlab run [OPTIONS] SPEC"
    assert help_line.endswith("normlab run --help")
