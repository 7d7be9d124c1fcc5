"""Point 6: many processes in one root, two on one run, locks of dead processes, one download for many."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from datasets_support import gzips, served
from tally import Tally
from trials import SPEC, environment, normlab

from normlab.errors import NormlabError, StorageError
from normlab.runs.history import History
from normlab.runs.index import INDEX, directories, listed, read_row
from normlab.runs.lock import locked, owner

if TYPE_CHECKING:
    from pathlib import Path

MANY = """
import sys
from trials import spec_of
from normlab import experiment

root, process, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(runs):
    settings = ["training={steps: 2, batch_size: 16}", "evaluation.every=1", f"seed={process * runs + number}"]
    history = experiment.run(spec_of(*settings), out=root)
    print(history.directory)
"""

FETCH = """
import os, sys
os.environ["XDG_CACHE_HOME"], os.environ["NO_PROXY"] = sys.argv[2], "127.0.0.1"
from datasets_support import contents, tiny
from normlab.datasets import store
assert {name: one.contents for name, one in store.load(tiny(sys.argv[1])).items()} == contents()
"""


def start(text: str, *arguments) -> subprocess.Popen:
    """Start a Python program in a new process."""
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(OMP_NUM_THREADS="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def share_root(folder: Path, processes: int = 16, runs: int = 25) -> Tally:
    """Train different runs in one root from many processes at the same time."""
    tally = Tally(f"runs of {processes} processes in one root: each in its own directory, none lost")
    started = [start(MANY, folder, number, runs) for number in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        endings = [pool.submit(lambda one=one: (*one.communicate(), one.returncode)) for one in started]
        while not all(one.done() for one in endings):
            listed(folder)  # a reader of the index, while runs are added
            time.sleep(0.5)
        ended = [one.result() for one in endings]
    reported = [line for out, _, _ in ended for line in out.split()]
    errors = [error[-300:] for _, error, status in ended if status]
    for name in reported:
        tally.add(is_whole(name), name)
    found = {str(path) for path in folder.glob("small/*")}
    for _ in range(processes * runs - len(reported)):
        tally.add(kept=False, message=f"a run is lost: {errors}")
    if found != set(reported):
        tally.broken.append(f"{len(found)} directories of {len(set(reported))} runs: {errors}")
    return tally


def compare_index(root: Path) -> Tally:
    """Compare the list of runs from the index with one that reads every directory."""
    tally = Tally("runs in the index: equal to a scan of all directories")
    scanned = {path: read_row(path) for path, _ in directories(str(root))}
    first = listed(root)
    (root / INDEX).unlink()
    for rows in (first, listed(root)):
        found = {row.path: row for row in rows}
        for path in {*found, *scanned}:
            tally.add(found.get(path) == scanned.get(path), path)
    return tally


def is_whole(directory: str) -> bool:
    try:
        history = History.load(directory)
    except NormlabError:
        return False
    return history.steps == [1, 2] and history.result.status == "completed"


def share_run(folder: Path, times: int = 5) -> Tally:
    """Start a second process on a run in training: it names the owner, and the first process continues."""
    tally = Tally("second processes on a run in training: refused, with the name of the owner")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    long = ("run", "small.yaml", "-s", "training.steps=1000000", "-s", "evaluation.every=50")
    with normlab(*long, cwd=folder) as first:
        first.stdout.readline()
        first.stdout.readline()
        for _ in range(times):
            second = normlab(*long, cwd=folder)
            errors = second.communicate(timeout=120)[1]
            tally.add(second.returncode == 6 and f"in use by process {first.pid} on " in errors, errors)
        first.send_signal(signal.SIGINT)
        errors = first.communicate(timeout=60)[1]
    tally.add(first.returncode == 130, errors)
    return tally


def kill_owner(folder: Path, times: int = 10) -> Tally:
    """Kill the owner of a lock: its file remains, and the lock is free."""
    tally = Tally("locks of killed processes: free within a second")
    folder.mkdir(parents=True)
    text = (
        "import sys, time; from normlab.runs.lock import locked\n"
        "with locked(sys.argv[1]): print('locked', flush=True); time.sleep(60)"
    )
    for _ in range(times):
        with start(text, folder) as process:
            process.stdout.readline()
            try:
                with locked(folder):
                    tally.add(kept=False, message="locked twice")
            except StorageError as error:
                message = str(error)
            process.kill()
            process.wait()
        begun = time.monotonic()
        with locked(folder):
            seconds = time.monotonic() - begun
            itself = owner(folder)
        tally.add(seconds < 1 and f"process {process.pid} " in message and str(process.pid) not in itself, message)
    return tally


def share_download(folder: Path, processes: int = 16) -> Tally:
    """Load the same data from many processes with an empty cache."""
    tally = Tally(f"data files needed by {processes} processes: downloaded once")
    with served(gzips(), seconds=0.2) as (home, asked):
        started = [start(FETCH, home, folder) for _ in range(processes)]
        errors = [one.communicate(timeout=300)[1] for one in started]
    for name in gzips():
        tally.add(asked[name] == 1 and not any(one.returncode for one in started), f"{name}: {asked} {errors}")
    return tally


def torture(folder: Path):
    yield share_root(folder / "root")
    yield compare_index(folder / "root")
    yield share_run(folder / "run")
    yield kill_owner(folder / "lock")
    yield share_download(folder / "cache")
