"""A process that trains one run after the other, told what to do by lines of JSON on standard input.

Each line is a task: `{"task": "run" or "find", "spec": {...}, "out": "runs"}`. What happens is told on standard output,
one object a line, by its `event`: `started`, `stepped`, `warned`, then `done` with the run's directory, `failed` with
the error, or `busy` if another process trains the run. The process ends when its standard input does, and when whoever
started it dies.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from normlab.errors import Interrupted, InUse, NormlabError
from normlab.experiment.observer import Observer, Plan
from normlab.runs.history import History
from normlab.runs.lock import locked, owner

#: Seconds between two `stepped` events.
_PAUSE = 0.2
_PR_SET_PDEATHSIG = 1


def main(parent: int) -> None:
    """Work until there is nothing to do any more.

    Args:
        parent: The process that started this one.
    """
    # what plugins and libraries print must not get among the events
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    # a shell has what it starts in the background ignore this, and then the parent could not stop us in good order
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _die_with(parent)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    worker = _Worker(events)
    with suppress(KeyboardInterrupt, Interrupted):
        while True:
            worker.perform(tasks.get())
    os._exit(130)  # MXNet's threads may wait for ever


def _read(tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def _die_with(parent: int) -> None:
    """Have the system end this process with its parent, where it can; elsewhere the end of standard input does."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class _Worker:
    def __init__(self, events: TextIO) -> None:
        self._events = events

    def perform(self, task: dict[str, Any]) -> None:
        """Do one task and tell how it ended."""
        try:
            done = {"run": self._run, "find": self._find}[task["task"]](task)
        except InUse as error:
            done = {"event": "busy", "message": str(error).split(";", maxsplit=1)[0]}
        except NormlabError as error:
            if isinstance(error, Interrupted):
                raise
            done = {"event": "failed", "message": str(error)}
        except Exception as error:  # noqa: BLE001 - a defect in one run must not cost the others
            traceback.print_exc()
            done = {"event": "failed", "message": f"unexpected {type(error).__name__}: {error}"}
        self.tell(done)
        _tidy()

    def tell(self, event: dict[str, Any]) -> None:
        """Write one event."""
        self._events.write(json.dumps(event, allow_nan=False) + "\n")
        self._events.flush()

    def _find(self, task: dict[str, Any]) -> dict[str, Any]:
        from normlab.study.execution.locate import directory_of  # noqa: PLC0415 - needs MXNet

        found = directory_of(_spec(task), task["out"])
        return {"event": "done", "directory": str(found.path), "stored": found.stored() is not None}

    def _run(self, task: dict[str, Any]) -> dict[str, Any]:
        from normlab import experiment  # noqa: PLC0415 - after the process is set up

        found = self._find(task)
        if found["stored"]:
            return {**found, "trained": False}
        directory = Path(found["directory"])
        if owner(directory) is not None:
            with locked(directory):  # else all is built first, only to find that the run is another's
                pass
        _forget_peak_memory()
        observer = _Teller(self)
        history = experiment.run(_spec(task), out=task["out"], observer=observer)
        return {"event": "done", "directory": str(history.directory), "stored": True, "trained": True}


class _Teller(Observer):
    """Tells the parent how a run goes on."""

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker
        self._next = 0.0

    def started(self, plan: Plan) -> None:
        """Training begins."""
        self._tell("started", steps=plan.steps, step=plan.first_step)

    def stepped(self, step: int) -> None:
        """Told from time to time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PAUSE
            self._tell("stepped", step=step)

    def warned(self, message: str) -> None:
        """Something is not as the person may think."""
        self._tell("warned", message=message)

    def reused(self, history: History) -> None:
        """Another process has trained it in the meantime."""

    def _tell(self, event: str, **content: Any) -> None:
        self._worker.tell({"event": event, **content})


def _spec(task: dict[str, Any]) -> Any:
    from normlab.spec import Spec  # noqa: PLC0415 - pydantic is imported once the process is set up

    return Spec.model_validate(task["spec"])


def _tidy() -> None:
    """Give back what the last run held, so that the hundredth has as much room as the first."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak_memory() -> None:
    """Let the peak that the next run reads be its own (Linux; elsewhere it is that of the process)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
