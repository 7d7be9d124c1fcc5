"""The list of runs, and the index that makes it fast: always equal to a scan."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import environment
from study_support import history, stored

from normlab.runs import index
from normlab.runs.history import HISTORY, RESULT, HistoryWriter, Record
from normlab.runs.index import INDEX, directories, listed, read_row


def scanned(root):
    rows = [read_row(path) for path, _ in directories(str(root))]
    return sorted(rows, key=lambda row: row.path)


def same_as_a_scan(root):
    return sorted(listed(root), key=lambda row: row.path) == scanned(root)


@pytest.fixture
def root(tmp_path):
    for label in ("none", "batch"):
        for seed in range(3):
            stored(tmp_path, label, seed)
    stored(tmp_path, "batch", 9, None)
    stored(tmp_path, "layer", 0, split="validation", name="other")
    return tmp_path


def test_a_row_tells_what_ran_and_what_it_came_to(root):
    other, *rows = listed(root)
    assert {row.name for row in rows} == {"small"}
    assert [(row.norm, row.seed) for row in rows[:5]] == [*(("batch", seed) for seed in (0, 1, 2, 9)), ("none", 0)]
    assert rows[0][4:] == ("completed", 30, 0.9, "test", 1.0)
    assert rows[3][4:] == ("diverged", 30, None, "test", 1.0)
    assert (other.name, other.split) == ("other", "validation")


def test_a_second_list_is_the_first_and_reads_no_run(root, monkeypatch):
    first = listed(root)
    assert (root / INDEX).exists()
    monkeypatch.setattr(index, "read_row", lambda path: pytest.fail(f"{path} was read"))
    assert listed(root) == first


def test_the_order_is_that_of_name_norm_seed_and_path_from_the_index_or_not(root):
    for name in ("Zebra", "ähre", "中文", "small"):
        stored(root, "z", 10, name=name)
        stored(root, "z", 9, name=name)
    (root / "small" / "z-s9" / HISTORY).write_text("nonsense\n", encoding="utf-8")
    expected = sorted(scanned(root), key=lambda row: (row.name, row.norm, -1 if row.seed is None else row.seed))
    assert listed(root) == expected
    assert listed(root) == expected


def test_a_new_run_a_run_redone_and_a_run_gone_are_seen(root):
    listed(root)
    stored(root, "group", 0)
    shutil.rmtree(root / "small" / "none-s0")
    history("none", 1, 0.5).result.save(root / "small" / "none-s1" / RESULT)
    shutil.rmtree(root / "small" / "none-s1" / HISTORY, ignore_errors=True)
    assert same_as_a_scan(root)
    norms = {(row.norm, row.seed): row.accuracy for row in listed(root)}
    assert ("group", 0) in norms
    assert ("none", 0) not in norms
    assert norms["none", 1] == 0.5


def test_an_unfinished_run_is_read_anew_each_time(root):
    folder = stored(root, "rms", 0, finished=False)
    assert [(row.status, row.steps) for row in listed(root) if row.norm == "rms"] == [("unfinished", 30)]
    with HistoryWriter.resume(folder / HISTORY, 30) as writer:
        writer.append(Record(60, 2.0, 1920, 2.0, {"test": 0.95}, {"test": 0.1}))
    assert [(row.status, row.steps) for row in listed(root) if row.norm == "rms"] == [("unfinished", 60)]


def test_what_can_not_be_read_is_listed_as_damaged(root):
    (root / "small" / "none-s0" / RESULT).write_text("{}", encoding="utf-8")
    (root / "small" / "none-s1" / HISTORY).write_text("nonsense\n", encoding="utf-8")
    rows = [row for row in listed(root) if row.status == "damaged"]
    assert [row.path for row in rows] == [str(root / "small" / f"none-s{seed}") for seed in (0, 1)]
    assert same_as_a_scan(root)


def test_folders_that_are_no_runs_are_passed_over(root):
    before = listed(root)
    (root / "studies" / "x").mkdir(parents=True)
    (root / ".hidden" / "run").mkdir(parents=True)
    (root / "file").touch()
    (root / "small" / ".tmp-1").mkdir()
    assert listed(root) == before


@pytest.mark.parametrize("harm", ["no database", "other version", "other table", "unwritable"])
def test_an_index_that_can_not_be_used_costs_time_alone(root, harm):
    expected = listed(root)
    path = root / INDEX
    if harm == "no database":
        path.write_bytes(b"nonsense" * 1000)
    elif harm == "unwritable":
        path.unlink()
        path.mkdir()
    else:
        with sqlite3.connect(path) as base:
            if harm == "other version":
                base.execute("PRAGMA user_version = 99")
            else:
                base.execute("DROP TABLE runs")
                base.execute("CREATE TABLE runs (path TEXT)")
        base.close()
    assert listed(root) == expected
    assert listed(root) == expected


def test_processes_that_list_and_store_at_once_lose_nothing(root):
    code = (
        "import sys; from pathlib import Path; from normlab.runs.index import listed\n"
        "from study_support import stored\n"
        "root, number = Path(sys.argv[1]), int(sys.argv[2])\n"
        "for seed in range(10):\n"
        "    stored(root, f'n{number}', seed)\n"
        "    listed(root)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), environment()["PYTHONPATH"]])
    env = {**environment(), "PYTHONPATH": path}
    several = [subprocess.Popen([sys.executable, "-c", code, str(root), str(n)], env=env) for n in range(4)]
    assert [process.wait() for process in several] == [0] * 4
    assert len(listed(root)) == 8 + 40
    assert same_as_a_scan(root)
