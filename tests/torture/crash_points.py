"""Point 2, second half: a failure, or the end of the process, at the k-th operation on a file, for every k.

The operations are those of Python's `os` that change something. Where a process ends, what it wrote is as the system
has it: this finds an order of operations that is wrong, not a disk that lies about what it has synced.
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
from normlab.experiment.resume import PACKAGES, made_with, resumable, take_up
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.directory import CHECKPOINT, RunDirectory
from normlab.runs.history import HISTORY, RESULT, Header, History, Record, Result

OPERATIONS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "ftruncate")
REFUSALS = (errno.ENOSPC, errno.EIO, errno.EACCES)
GONE = 77


@contextmanager
def counting(act=None):
    """Counts operations; at each, `act` may raise or end the process. Gives the list of what was done."""
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


def refusing(number, at):
    """Whatever the operation is, the system refuses it from there on, as a full disk does."""

    def act(count):
        if count >= at:
            raise OSError(number, os.strerror(number))

    return act


def refusing_once(number, at):
    """The system refuses this one operation."""

    def act(count):
        if count == at:
            raise OSError(number, os.strerror(number))

    return act


def ending(at):
    def act(count):
        if count == at:
            os._exit(GONE)

    return act


HEADER = Header("small", "batch", 0, ("test",), "f" * 64)
SURROUNDINGS = {"versions": dict.fromkeys(PACKAGES, "1"), "plugins": [], "processor": "any"}
MADE_WITH = made_with(SURROUNDINGS)


def checkpoint_of(step: int, history: bytes) -> Checkpoint:
    value = np.full((3, 2), step, np.float32)
    return Checkpoint(
        HEADER.spec, step, step, step, 0.0, {"weight": value}, {"weight/0": -value}, {}, history, MADE_WITH
    )


def run_directory(out: Path) -> RunDirectory:
    return RunDirectory(out, HEADER.name, HEADER.label, HEADER.seed, HEADER.spec)


def store_run(out: Path, last: int) -> None:
    """What a run of `last` steps stores, without the training: it takes up what is there, and goes on to the end."""
    run = run_directory(out)
    with run.claimed():
        run.prepare()
        generations = Generations(run.path / CHECKPOINT)
        found = resumable(generations, HEADER.spec, SURROUNDINGS, warned)
        with take_up(run.path / HISTORY, HEADER, found, warned) as writer:
            for step in range(found.step + 1 if found else 1, last + 1):
                writer.append(Record(step, step, step, step, {"test": step / 10}, {"test": 1 / step}))
                checkpoint = checkpoint_of(step, writer.path.read_bytes())
                generations.save(checkpoint, keep=1 if step == last else 2)
            history = History(HEADER, tuple(writer.records))
            Result("completed", last, 1, 1, 0, history.final(), history.best()).save(run.path / RESULT)


def warned(message: str) -> None:
    raise AssertionError(f"warned without a cause: {message}")


def faults(out: Path, least: int, last: int) -> list[str]:
    """What is wrong where a run was stopped after it had said that the checkpoint of step `least` is stored."""
    folder = run_directory(out).path
    found = Generations(folder / CHECKPOINT).newest(warned)
    wrong = []
    if (found.step if found else 0) < least:
        wrong.append(f"checkpoint of step {found and found.step}; expected {least} at least")
    if found and not (found.parameters["weight"] == found.step).all():
        wrong.append("checkpoint with values of another step")
    if (folder / RESULT).exists() and (found is None or found.step != last):
        wrong.append("success without its checkpoint")
    return wrong


def end_after(out: Path, last: int) -> list[str]:
    """What is wrong once the run is taken up, and has ended."""
    store_run(out, last)
    folder = run_directory(out).path
    history = History.load(folder)
    wrong = [] if history.steps == list(range(1, last + 1)) else [f"steps {history.steps}"]
    wrong += [str(path) for path in folder.rglob("*") if path.name.startswith(".")]
    return wrong + faults(out, last, last)


def crash_in_storing(folder: Path, last: int = 4, hows=("exit", *REFUSALS)) -> Tally:
    """The end of the process, or a refusal, at every operation with which a run of some checkpoints is stored."""
    tally = Tally("crash points in storing, last verified checkpoint whole and run taken up to its end")
    folder.mkdir(parents=True, exist_ok=True)
    with counting() as done:
        store_run(folder / "whole", last)
    for at in range(1, len(done) + 1):
        for how in hows:
            place = folder / f"{at}-{how}"
            child = os.fork()
            if child == 0:
                _store_until(place, at, how, last)
            _, status = os.waitpid(child, 0)
            told = (folder / f"{at}-{how}.told").read_text().split()
            wrong = faults(place, int(told[-1]) if told else 0, last)
            wrong += [] if os.waitstatus_to_exitcode(status) == GONE else [f"ended with {status}"]
            wrong += end_after(place, last)
            tally.add(not wrong, f"operation {at} ({done[at - 1]}), {how}: {wrong}")
            shutil.rmtree(place)
    return tally


def _store_until(place: Path, at: int, how, last: int) -> None:
    """In a process of its own, which tells each checkpoint that is said to be stored."""
    with (place.parent / f"{place.name}.told").open("w") as told:
        save = Generations.save

        def telling(self, checkpoint, *, keep):
            path = save(self, checkpoint, keep=keep)
            os.pwrite(told.fileno(), f"{checkpoint.step:3d}".encode(), 3 * checkpoint.step)
            return path

        Generations.save = telling
        try:
            with counting(ending(at) if how == "exit" else refusing_once(how, at)):
                store_run(place, last)
        except StorageError:
            os._exit(GONE)
        except BaseException as error:  # noqa: BLE001 - told by the status
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        # only the removal of the lock's file may be refused without a word
        os._exit(GONE if how != "exit" and (run_directory(place).path / RESULT).exists() else 2)


def torture(folder: Path):
    yield crash_in_storing(folder)


if __name__ == "__main__":
    # in a process without MXNet, which is quick to copy
    tally = crash_in_storing(Path(sys.argv[1]), int(sys.argv[2]), ("exit", *REFUSALS)[: int(sys.argv[3])])
    sys.stdout.write(json.dumps([tally.what, tally.tried, tally.broken]))
