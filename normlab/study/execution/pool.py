"""Worker processes and the tasks that they share: when one dies, the others continue."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from normlab.backend.mxnet import processors

if TYPE_CHECKING:
    from typing_extensions import Self

    from normlab.spec import Spec


#: What a worker runs. It finds normlab where this process has found it, and never in the current folder unasked.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from normlab.study.execution.worker import main; main({})"
)
#: Lines of standard error that are kept, and told if the worker dies.
_KEPT, _TOLD = 200, 6
_LONGEST = 200
_AT_ONCE = 1 << 16
#: Seconds from the end of a worker's output to its own end.
_EXIT_TIMEOUT = 5.0


class WorkerProcess:
    """A running worker.

    Args:
        threads: Its OpenMP threads.

    Attributes:
        task: What it is doing, or None.
    """

    def __init__(self, threads: int) -> None:
        self.task: Any = None
        self._complaints: deque[str] = deque(maxlen=_KEPT)
        self._child = subprocess.Popen(  # noqa: S603 - this very Python, and words of ours
            [sys.executable, "-c", _PROGRAM.format(os.getpid()), json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for the parent, which stops its workers in good order
        )
        assert self._child.stdin and self._child.stdout and self._child.stderr  # noqa: S101, PT018 - they are pipes
        self._input = self._child.stdin
        self.output, self.errors = self._child.stdout, self._child.stderr
        for pipe in (self.output, self.errors):
            os.set_blocking(pipe.fileno(), False)
        self._rest = {self.output: b"", self.errors: b""}

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def give(self, task: Any, message: dict[str, Any]) -> bool:
        """Hand it a task; False if it is no longer there to take it."""
        self.task = task
        try:
            self._input.write((json.dumps(message, allow_nan=False) + "\n").encode())
            self._input.flush()
        except OSError:
            return False
        return True

    def events(self) -> list[dict[str, Any]] | None:
        """What it has told since; None once it is gone. To be called when `output` can be read."""
        lines = self._lines(self.output)
        return None if lines is None else [json.loads(line) for line in lines]

    def listen(self) -> bool:
        """Take up what it complains of; False once there is nothing more. To be called when `errors` can be read."""
        lines = self._lines(self.errors)
        self._complaints.extend(line.decode(errors="replace") for line in lines or [])
        return lines is not None

    def last_words(self) -> list[str]:
        """What it said before it died: from the interpreter's own report of a crash on, else the last lines."""
        lines = [line[:_LONGEST] for line in self._complaints]
        crash = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error")), None)
        return lines[-_TOLD:] if crash is None else lines[crash : crash + _TOLD]

    def ended(self) -> str:
        """How it ended, in words; waits for it."""
        self.wait(_EXIT_TIMEOUT)
        status = self._child.returncode
        self.listen()
        if status >= 0:
            return f"its process ended with status {status}"
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process was ended by signal {-status}"

    def interrupt(self) -> None:
        """Ask it to stop in good order."""
        with suppress(OSError):
            self._child.send_signal(signal.SIGINT)

    def dismiss(self) -> None:
        """Tell it that there are no more tasks."""
        with suppress(OSError):
            self._input.close()

    def wait(self, patience: float) -> None:
        """Wait so many seconds for its end, then end it without asking."""
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def close(self) -> None:
        """Close what is left of its pipes."""
        self.dismiss()
        for pipe in (self.output, self.errors):
            pipe.close()

    def _lines(self, pipe: Any) -> list[bytes] | None:
        try:
            piece = os.read(pipe.fileno(), _AT_ONCE)
        except BlockingIOError:
            return []
        if not piece:
            return None
        *lines, self._rest[pipe] = (self._rest[pipe] + piece).split(b"\n")
        return lines


#: Seconds after which a run that another process had is tried again.
_PAUSE = 2.0
#: Seconds that workers have to stop in good order.
_STOP_TIMEOUT = 8.0

Listener = Callable[["Task", dict[str, Any]], None]
"""Told of each event of a task: those of its worker, and `lost` if the worker died; the last is `done` or `failed`.

A `busy` task is another process's; it is tried again until that one has ended it, or left it.
"""


@dataclass(eq=False)
class Task:
    """Something for a worker to do.

    Attributes:
        spec: The spec.
        out: Where run directories go.
        kind: `run` to train what is not stored yet, `find` to say only where it is.
        about: Whatever the caller wants to find again.
        attempts: How many workers have tried it.
    """

    spec: Spec
    out: str
    kind: str = "run"
    about: Any = None
    attempts: int = 0

    def message(self) -> dict[str, Any]:
        """What a worker is told."""
        return {"task": self.kind, "spec": self.spec.dump(), "out": self.out}


def thread_budget(jobs: int | None) -> tuple[int, int]:
    """Worker processes, and threads of each, so that together they keep all processors busy and no more.

    Args:
        jobs: Worker processes; by default one for each processor, or as many as leave each `OMP_NUM_THREADS`.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    wanted = int(asked) if asked.isdigit() and int(asked) > 0 else None
    count = jobs or max(1, processors() // (wanted or 1))
    return count, wanted or max(1, processors() // count)


class Pool:
    """Workers that live for many tasks; used as a context, at whose end they are stopped.

    Args:
        jobs: Worker processes at most.
        threads: OpenMP threads of each.
        listen: Told of every event.
    """

    def __init__(self, jobs: int, threads: int, listen: Listener) -> None:
        self._jobs, self._threads, self._listen = jobs, threads, listen
        self._workers: list[WorkerProcess] = []
        self._waiting: deque[Task] = deque()
        self._held: deque[tuple[float, Task]] = deque()  # with the time from which they may be tried again
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all workers; those that are busy are asked to leave their run resumable."""
        deadline = time.monotonic() + _STOP_TIMEOUT
        for worker in self._workers:
            worker.interrupt() if worker.task is not None else worker.dismiss()
        for worker in list(self._workers):
            worker.wait(max(0.0, deadline - time.monotonic()))
            self._drop(worker)
        self._selector.close()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def add(self, tasks: Iterable[Task], *, first: bool = False) -> None:
        """Queue tasks, at the end or, in the order given, before all others."""
        if first:
            self._waiting.extendleft(reversed(list(tasks)))
        else:
            self._waiting.extend(tasks)

    def forget(self) -> None:
        """Drop the tasks that no worker has begun."""
        self._waiting.clear()
        self._held.clear()

    def work(self) -> None:
        """Work until no task is left; the listener may add more."""
        while self._waiting or self._held or any(worker.task is not None for worker in self._workers):
            while self._held and self._held[0][0] <= time.monotonic():
                self._waiting.append(self._held.popleft()[1])
            self._hand_out()
            for worker, is_event in self._ready():
                if is_event:
                    self._hear(worker)
                elif not worker.listen():
                    self._selector.unregister(worker.errors)

    def _ready(self) -> Iterator[tuple[WorkerProcess, bool]]:
        patience = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
        for key, _ in self._selector.select(patience):
            worker: WorkerProcess = key.data
            if worker in self._workers:
                yield worker, key.fileobj is worker.output

    def _hand_out(self) -> None:
        for worker in list(self._workers):
            if self._waiting and worker.task is None:
                self._give(worker)
        while self._waiting and len(self._workers) < self._jobs:
            worker = WorkerProcess(self._threads)
            self._workers.append(worker)
            for pipe in (worker.output, worker.errors):
                self._selector.register(pipe, selectors.EVENT_READ, worker)
            self._give(worker)

    def _give(self, worker: WorkerProcess) -> None:
        task = self._waiting.popleft()
        task.attempts += 1
        worker.give(task, task.message())  # if it is gone, the end of its output tells

    def _hear(self, worker: WorkerProcess) -> None:
        events = worker.events()
        if events is None:
            self._bury(worker)
            return
        for event in events:
            task: Task = worker.task
            if event["event"] in ("done", "failed", "busy"):
                worker.task = None
            if event["event"] == "busy":
                task.attempts -= 1
                self._held.append((time.monotonic() + _PAUSE, task))
            self._listen(task, event)

    def _bury(self, worker: WorkerProcess) -> None:
        """A worker has died: its task is tried once more, by a worker that knows nothing of it."""
        task: Task | None = worker.task
        how = worker.ended()
        self._drop(worker)
        if task is None:
            return
        if task.attempts == 1:
            self._waiting.appendleft(task)
            self._listen(task, {"event": "lost", "message": f"{how}; tried once more"})
        else:
            self._listen(task, {"event": "failed", "message": "\n".join([f"{how}, twice", *worker.last_words()])})

    def _drop(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        for pipe in (worker.output, worker.errors):
            if pipe in self._selector.get_map():
                self._selector.unregister(pipe)
        worker.close()
