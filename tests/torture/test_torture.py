"""The stress tests in small numbers, for the test suite; `make torture` runs them in large numbers."""

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


def test_crash_or_full_disk_at_any_file_operation_loses_no_stored_checkpoint(tmp_path):
    memory = "/dev/shm"  # noqa: S108 - 2,000 syncs of a disk take a minute
    place = f"{memory}/normlab-{os.getpid()}" if os.access(memory, os.W_OK) else str(tmp_path / "points")
    command = [sys.executable, str(FOLDER / "crash_points.py"), place, "2", "2"]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
    assert done.stderr == ""
    assert_kept(tally.Tally(*json.loads(done.stdout)), 120)


def test_killed_and_resumed_runs_are_bit_identical(tmp_path):
    kept, resumed = kills.run_storms(tmp_path, 4, steps=60)
    assert_kept(kept, 4)
    assert_kept(resumed, 2)


def test_full_disk_is_reported_and_the_run_resumes_bit_identical(tmp_path):
    assert_kept(full_disk.fill_disk(tmp_path, stride=13), 10)


def test_file_size_limit_ends_with_status_6(tmp_path):
    assert_kept(full_disk.limit_file_size(tmp_path / "limited", range(1500, 1501)))


def test_damaged_checkpoint_is_detected_and_skipped(tmp_path):
    for cut in (False, True):
        assert_kept(corruption.damage_checkpoints(tmp_path / f"{cut}", 60, cut=cut), 60)


def test_damaged_history_and_data_are_refused(tmp_path):
    for cut in (False, True):
        assert_kept(corruption.damage_histories(tmp_path / f"histories-{cut}", 40, cut=cut), 40)
        assert_kept(corruption.damage_data(tmp_path / f"data-{cut}", 40, cut=cut), 40)


def test_run_with_a_damaged_checkpoint_is_bit_identical(tmp_path):
    assert_kept(corruption.damage_and_resume(tmp_path, 3), 3)


def test_non_finite_values_stop_the_run_at_the_next_evaluation(tmp_path):
    cases = diverging.make_cases(tmp_path / "plugin")
    some = [name for name in cases if "NaN" not in name or name.endswith(("weight of NaN", "signum", "ftrl", "adam"))]
    assert_kept(diverging.diverge({name: cases[name] for name in some}, tmp_path), 6)


def test_processes_that_share_a_root_lose_no_run(tmp_path):
    assert_kept(concurrency.share_root(tmp_path, 3, 3), 9)
    assert_kept(concurrency.compare_index(tmp_path), 18)


def test_signal_stops_a_run_within_seconds_and_it_can_be_resumed(tmp_path):
    assert_kept(signals.signal_once(tmp_path / "once", 2, length=1000))


def test_second_signal_ends_the_process_at_once(tmp_path):
    assert_kept(signals.signal_twice(tmp_path / "twice"), 2)


def test_torture_covers_every_point_and_reports_failures():
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
