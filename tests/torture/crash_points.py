"""Point 2, second half: an error, or the end of the process, at the k-th file operation, for every k.

File operations are the functions of Python's `os` that change files. When a process ends, the operating system keeps
what it has written. This finds a wrong order of operations, but not a disk that loses synced data.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tally import Tally

from normlab.errors import StorageError
from normlab.experiment.resume import PACKAGES, find_checkpoint, fingerprint, open_history
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.directory import CHECKPOINT, RunDirectory
from normlab.runs.history import HISTORY, RESULT, Header, History, Record, Result

OPERATIONS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "ftruncate")
REFUSALS = (errno.ENOSPC, errno.EIO, errno.EACCES)
GONE = 77


@contextmanager
def count_operations(act=None):
    """Yield the list of file operations so far; `act` gets their number, and may raise or end the process."""
    done = []
    real = {name: getattr(os, name) for name in OPERATIONS}

    def counted(name):
        def operation(*arguments, **keywords):
            if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return real[name](*arguments, **keywords)
            done.append(f"{name} {arguments[0]}")
            if act is not None:
                act(len(done))
            return real[name](*arguments, **keywords)

        return operation

    for name in OPERATIONS:
        setattr(os, name, counted(name))
    try:
        yield done
    finally:
        for name in OPERATIONS:
            setattr(os, name, real[name])


def refuse_from(number, at):
    """Fail every operation from the `at`-th on, as a full disk does."""

    def act(count):
        if count >= at:
            raise OSError(number, os.strerror(number))

    return act


def refuse_once(number, at):
    """Fail the `at`-th operation only."""

    def act(count):
        if count == at:
            raise OSError(number, os.strerror(number))

    return act


def exit_at(at):
    """End the process at the `at`-th operation."""

    def act(count):
        if count == at:
            os._exit(GONE)

    return act


HEADER = Header("small", "batch", 0, ("test",), "f" * 64)
ENVIRONMENT = {"versions": dict.fromkeys(PACKAGES, "1"), "plugins": [], "processor": "any"}
FINGERPRINT = fingerprint(ENVIRONMENT)


def checkpoint_of(step: int, history: bytes) -> Checkpoint:
    value = np.full((3, 2), step, np.float32)
    return Checkpoint(
        HEADER.spec, step, step, step, 0.0, {"weight": value}, {"weight/0": -value}, {}, history, FINGERPRINT
    )


def run_directory(out: Path) -> RunDirectory:
    return RunDirectory(out, HEADER.name, HEADER.label, HEADER.seed, HEADER.spec)


def store_run(out: Path, last: int) -> None:
    """Resume a run and store what a run of `last` steps stores, without training."""
    run = run_directory(out)
    with run.claimed():
        run.prepare()
        checkpoints = Generations(run.path / CHECKPOINT)
        found = find_checkpoint(checkpoints, HEADER.spec, ENVIRONMENT, fail_on_warning)
        with open_history(run.path / HISTORY, HEADER, found, fail_on_warning) as writer:
            for step in range(found.step + 1 if found else 1, last + 1):
                writer.append(Record(step, step, step, step, {"test": step / 10}, {"test": 1 / step}))
                checkpoint = checkpoint_of(step, writer.path.read_bytes())
                checkpoints.save(checkpoint, keep=1 if step == last else 2)
            history = History(HEADER, tuple(writer.records))
            Result("completed", last, 1, 1, 0, history.final(), history.best()).save(run.path / RESULT)


def fail_on_warning(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")


def find_faults(out: Path, least: int, last: int) -> list[str]:
    """Return what is wrong in a stopped run that had reported the checkpoint of step `least` as stored."""
    folder = run_directory(out).path
    found = Generations(folder / CHECKPOINT).newest(fail_on_warning)
    wrong = []
    if (found.step if found else 0) < least:
        wrong.append(f"checkpoint of step {found and found.step}; expected {least} at least")
    if found and not (found.parameters["weight"] == found.step).all():
        wrong.append("checkpoint with values of another step")
    if (folder / RESULT).exists() and (found is None or found.step != last):
        wrong.append("completed without its last checkpoint")
    return wrong


def find_faults_after_resume(out: Path, last: int) -> list[str]:
    """Resume the run to its end, and return what is wrong with it."""
    store_run(out, last)
    folder = run_directory(out).path
    history = History.load(folder)
    wrong = [] if history.steps == list(range(1, last + 1)) else [f"steps {history.steps}"]
    wrong += [str(path) for path in folder.rglob("*") if path.name.startswith(".")]
    return wrong + find_faults(out, last, last)


def crash_while_storing(folder: Path, last: int = 4, hows=("exit", *REFUSALS)) -> Tally:
    """End the process, or fail the operation, at every file operation of a run that stores checkpoints."""
    tally = Tally("crash points while storing: last verified checkpoint intact, run resumed to its end")
    folder.mkdir(parents=True, exist_ok=True)
    with count_operations() as done:
        store_run(folder / "whole", last)
    for at in range(1, len(done) + 1):
        for how in hows:
            place = folder / f"{at}-{how}"
            child = os.fork()
            if child == 0:
                _store_until(place, at, how, last)
            _, status = os.waitpid(child, 0)
            stored = (folder / f"{at}-{how}.stored").read_text().split()
            wrong = find_faults(place, int(stored[-1]) if stored else 0, last)
            wrong += [] if os.waitstatus_to_exitcode(status) == GONE else [f"ended with {status}"]
            wrong += find_faults_after_resume(place, last)
            tally.add(not wrong, f"operation {at} ({done[at - 1]}), {how}: {wrong}")
            shutil.rmtree(place)
    return tally


def _store_until(place: Path, at: int, how, last: int) -> None:
    """Run in the forked process, and write the step of each checkpoint reported as stored to a file."""
    with (place.parent / f"{place.name}.stored").open("w") as file:
        save = Generations.save

        def save_and_report(self, checkpoint, *, keep):
            path = save(self, checkpoint, keep=keep)
            os.pwrite(file.fileno(), f"{checkpoint.step:3d}".encode(), 3 * checkpoint.step)
            return path

        Generations.save = save_and_report
        try:
            with count_operations(exit_at(at) if how == "exit" else refuse_once(how, at)):
                store_run(place, last)
        except StorageError:
            os._exit(GONE)
        except BaseException as error:  # noqa: BLE001 - reported by the exit status
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        # only the removal of the lock's file may fail silently
        os._exit(GONE if how != "exit" and (run_directory(place).path / RESULT).exists() else 2)


def torture(folder: Path):
    yield crash_while_storing(folder)


if __name__ == "__main__":
    # a process without MXNet is fast to fork
    tally = crash_while_storing(Path(sys.argv[1]), int(sys.argv[2]), ("exit", *REFUSALS)[: int(sys.argv[3])])
    sys.stdout.write(json.dumps([tally.promise, tally.tried, tally.broken]))
