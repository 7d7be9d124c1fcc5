"""Jobs shared out between a process and its copy: all are done, once, and whatever goes wrong is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from normlab.report.figures.drawing import do_all

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")

SCRIPT = """
import os, sys
from functools import partial
from pathlib import Path
from normlab.report.figures.drawing import do_all
folder = Path(sys.argv[1])
def job(number):
    with (folder / str(number)).open("a") as file:
        file.write(f"{os.getpid()}\\n")
    {extra}
print("before", end=" ")
do_all([partial(job, number) for number in range(5)])
print("after")
"""


def done(folder, extra="pass"):
    """What the process printed, and for each job by which processes it was done."""
    folder.mkdir()
    command = [sys.executable, "-c", SCRIPT.replace("{extra}", extra), str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told, [path.read_text().split() for path in sorted(folder.iterdir())]


def test_each_job_is_done_once_by_one_of_two_processes(tmp_path):
    told, by = done(tmp_path / "jobs")
    assert (told.returncode, told.stdout, told.stderr) == (0, "before after\n", "")
    assert [len(of_job) for of_job in by] == [1] * 5
    expected = 1 if len(os.sched_getaffinity(0)) == 1 else 2
    assert len({process for of_job in by for process in of_job}) == expected


def test_jobs_of_a_copy_that_dies_are_done_again(tmp_path):
    told, by = done(tmp_path / "jobs", f"os.getppid() == {os.getpid()} or os.kill(os.getpid(), 9)")
    assert (told.returncode, told.stdout) == (0, "before after\n")
    original = by[0][0]
    assert all(original in of_job for of_job in by)


def test_an_error_in_the_copy_is_raised_in_the_original(tmp_path):
    told, by = done(tmp_path / "jobs", "1 / (number != 3)")
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert told.stdout == "before "
    assert by[3][-1] == by[0][0]


def test_a_process_with_several_threads_is_not_copied(monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("copied"))
    ready, over = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (ready.set(), over.wait()))
    other.start()
    ready.wait()
    order = []
    try:
        do_all([lambda: order.append(0), lambda: order.append(1)])
    finally:
        over.set()
        other.join()
    assert order == [0, 1]
