"""A worker as its parent sees it: a child process, tasks in, events out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from typing import Any

#: What a worker runs. It finds normlab where this process has found it, and never in the current folder unasked.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from normlab.study.execution.worker import main; main({})"
)
#: Lines of standard error that are kept, and told if the worker dies.
_KEPT, _TOLD = 200, 6
_LONGEST = 200
_AT_ONCE = 1 << 16
#: Seconds from the end of a worker's output to its own.
_PATIENCE = 5.0


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
        self.wait(_PATIENCE)
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
