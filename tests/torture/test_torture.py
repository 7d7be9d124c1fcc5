"""The torture in small numbers, so that it runs with all other tests; `make torture` has the large ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from cli_tools import ROOT, environment
from torture_support import (
    FOLDER,
    assert_kept,
    concurrency,
    corruption,
    diverging,
    full_disk,
    kills,
    signals,
    tally,
)


def test_end_of_the_process_or_a_full_disk_at_any_operation_costs_no_stored_checkpoint(tmp_path):
    memory = "/dev/shm"  # noqa: S108 - syncing a disk 2,000 times would take a minute
    place = f"{memory}/normlab-{os.getpid()}" if os.access(memory, os.W_OK) else str(tmp_path / "points")
    command = [sys.executable, str(FOLDER / "crash_points.py"), place, "2", "2"]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
    assert done.stderr == ""
    assert_kept(tally.Tally(*json.loads(done.stdout)), 120)


def test_killed_runs_end_equal_to_the_bit(tmp_path):
    ends = kills.storm(tmp_path, 4, steps=60)
    assert_kept(ends[0], 4)
    assert_kept(ends[1], 2)


def test_disk_that_is_full_from_any_operation_on_is_told_and_costs_nothing(tmp_path):
    assert_kept(full_disk.full_from(tmp_path, stride=13), 10)


def test_limit_of_file_sizes_is_told_with_status_6(tmp_path):
    assert_kept(full_disk.limited(tmp_path / "limited", range(1500, 1501)))


def test_damaged_checkpoint_is_found_and_passed_over(tmp_path):
    for cut in (False, True):
        assert_kept(corruption.checkpoints(tmp_path / f"{cut}", 60, cut=cut), 60)


def test_damaged_history_and_data_are_refused(tmp_path):
    for cut in (False, True):
        assert_kept(corruption.histories(tmp_path / f"histories-{cut}", 40, cut=cut), 40)
        assert_kept(corruption.data(tmp_path / f"data-{cut}", 40, cut=cut), 40)


def test_run_with_a_damaged_checkpoint_ends_equal_to_the_bit(tmp_path):
    assert_kept(corruption.resumed(tmp_path, 3), 3)


def test_what_is_not_finite_is_found_at_the_next_evaluation(tmp_path):
    cases = diverging.cases(tmp_path / "plugin")
    some = [name for name in cases if "NaN" not in name or name.endswith(("weight of NaN", "signum", "ftrl", "adam"))]
    assert_kept(diverging.diverge({name: cases[name] for name in some}, tmp_path), 6)


def test_runs_of_many_processes_in_one_root_are_all_there(tmp_path):
    assert_kept(concurrency.one_root(tmp_path, 3, 3), 9)
    assert_kept(concurrency.index(tmp_path), 18)


def test_signal_is_obeyed_within_seconds_and_the_run_goes_on(tmp_path):
    assert_kept(signals.once(tmp_path / "once", 2, length=1000))


def test_second_signal_is_obeyed_at_once(tmp_path):
    assert_kept(signals.twice(tmp_path / "twice"), 2)


def test_torture_has_a_part_for_each_point_and_says_what_is_broken():
    program = (
        "import sys, types; sys.path.insert(0, sys.argv[1]); import tally\n"
        "bad = types.ModuleType('signals')\n"
        "bad.torture = lambda folder: [tally.Tally('kept', 2), tally.Tally('lost', 3, ['one of them'])]\n"
        "sys.modules['signals'] = bad; sys.argv = ['torture', '8']\n"
        "import runpy; runpy.run_path(sys.path[0] + '/__main__.py', run_name='__main__')"
    )
    command = [sys.executable, "-c", program, str(FOLDER)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for line in ("8 Signals", "  kept: 2 of 2", "  lost: 2 of 3", "    broken: one of them", "1 broken, 0 s"):
        assert line in done.stdout.splitlines()
    listing = (FOLDER / "__main__.py").read_text()
    for point in range(1, 10):
        assert f'    "{point} ' in listing
