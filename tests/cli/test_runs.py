from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import get_args

import pytest
from cli_tools import environment, normlab
from study_support import stored

from normlab.runs.history import Status
from normlab.runs.index import STATUSES
from normlab.runs.lock import locked


@pytest.fixture
def root(tmp_path):
    for label in ("none", "batch"):
        for seed in range(2):
            stored(tmp_path, label, seed)
    stored(tmp_path, "batch", 9, None, name="other")
    stored(tmp_path, "rms", 0, finished=False)
    return tmp_path


def listed(capsys, *words):
    ended = normlab(capsys, "runs", *words, "--json")
    assert ended.status == 0
    return [(run["norm"], run["seed"]) for run in json.loads(ended.out)["runs"]]


def test_runs_are_listed_in_a_table(capsys, root):
    lines = normlab(capsys, "runs", root).out.splitlines()
    assert lines[0].split() == ["name", "norm", "seed", "status", "steps", "accuracy", "on", "seconds", "directory"]
    assert len(lines) == 7
    row = ["other", "batch", "9", "diverged", "30", "test", "1.0", str(root / "other" / "batch-s9")]
    assert lines[1].split() == row


def test_the_list_may_be_asked_for_by_name(capsys, root):
    assert normlab(capsys, "runs", "list", root) == normlab(capsys, "runs", root)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--norm", "none"], [("none", 0), ("none", 1)]),
        (["--name", "other"], [("batch", 9)]),
        (["--status", "unfinished"], [("rms", 0)]),
        (["--status", "diverged", "--norm", "none"], []),
    ],
)
def test_filters_choose_among_runs(capsys, root, words, expected):
    assert listed(capsys, root, *words) == expected
    assert listed(capsys, *words, root) == expected


def test_a_list_from_the_index_loads_nothing_that_reads_runs(root):
    """Loading it takes as long as listing 2,000 runs."""
    shutil.rmtree(root / "small" / "rms-s0")  # an unfinished run is read each time
    text = (
        "import sys\nfrom normlab.cli.process import perform\n"
        f"assert perform(['runs', {str(root)!r}]) == 0\n"
        "loaded = {'normlab.runs.history', 'normlab.runs.record', 'numpy', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert bool(loaded) == (sys.argv[1] == 'first'), loaded\n"
    )
    for time in ("first", "second"):
        subprocess.run([sys.executable, "-c", text, time], env=environment(), check=True, capture_output=True)


def test_the_default_folder_is_runs(capsys, root, monkeypatch):
    (root / "cwd").mkdir()
    monkeypatch.chdir(root / "cwd")
    assert normlab(capsys, "runs").status == 6
    stored(root / "cwd" / "runs", "none", 0)
    assert listed(capsys) == [("none", 0)]


def test_nothing_found_is_said(capsys, root):
    assert normlab(capsys, "runs", root, "--norm", "nonesuch").out == f"no such runs below {root}\n"


def test_a_folder_that_is_not_there_is_told(capsys):
    ended = normlab(capsys, "runs", "nonesuch")
    assert ended.status == 6
    assert "nonesuch: no such folder" in ended.err


def test_show_tells_what_a_run_came_to(capsys, root):
    text = normlab(capsys, "runs", "show", root / "small" / "none-s0").out
    assert text.startswith("small: norm none, seed 0\n")
    assert "0.9000" in text
    unfinished = normlab(capsys, "runs", "show", root / "small" / "rms-s0").out
    assert "unfinished, 1 evaluations, step 30" in unfinished
    assert (
        json.loads(normlab(capsys, "runs", "show", root / "small" / "rms-s0", "--json").out)["status"] == "unfinished"
    )
    assert (
        json.loads(normlab(capsys, "runs", "show", root / "other" / "batch-s9", "--json").out)["status"] == "diverged"
    )


def test_remove_asks_first(capsys, root, monkeypatch):
    path = root / "small" / "none-s0"
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert normlab(capsys, "runs", "remove", path).status == 2
    assert path.exists()
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    assert normlab(capsys, "runs", "remove", path).status == 0
    assert not path.exists()


def test_remove_takes_several_and_leaves_nothing(capsys, root):
    paths = [root / "small" / f"none-s{seed}" for seed in range(2)]
    assert normlab(capsys, "runs", "remove", *paths, "--yes").status == 0
    assert listed(capsys, root, "--norm", "none") == []
    assert sorted(path.name for path in (root / "small").iterdir()) == ["batch-s0", "batch-s1", "rms-s0"]


def test_remove_refuses_what_is_no_run_before_it_removes_anything(capsys, root):
    (root / "link").symlink_to(root / "small" / "none-s0")
    for other in (root, root / "small", root / "nonesuch", root / "link"):
        ended = normlab(capsys, "runs", "remove", root / "small" / "none-s0", other, "--yes")
        assert ended.status == 2
        assert f"{other}: not the directory of a run" in ended.err
    assert (root / "small" / "none-s0").exists()


def test_remove_leaves_a_run_alone_that_a_process_trains(capsys, root):
    path = root / "small" / "rms-s0"
    with locked(path):
        ended = normlab(capsys, "runs", "remove", path, "--yes")
    assert ended.status == 6
    assert "in use by process" in ended.err
    assert path.exists()


def test_listing_imports_no_large_library(root):
    code = (
        "import atexit, json, sys; atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n"
        f"from normlab.cli import main\nmain(['runs', {str(root)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    heavy = {"mxnet", "numpy", "scipy", "pandas", "pydantic", "rich", "matplotlib"}
    assert not heavy & set(json.loads(done.stderr.splitlines()[-1]))


def test_statuses_are_those_of_results_and_two_more():
    assert (*get_args(Status), "unfinished", "damaged") == STATUSES
