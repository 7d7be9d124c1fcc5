"""Run a program in a process of its own and measure it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


class ProgramError(Exception):
    """A program failed or did not print a JSON object; the message is the end of its output."""


class Measured(NamedTuple):
    """One run of a program.

    ``seconds`` pass on the wall clock between start and end, ``processor_seconds`` are those of all its threads and
    children, ``peak_memory`` is its largest resident set in bytes, ``result`` the JSON object that it printed.
    """

    seconds: float
    processor_seconds: float
    peak_memory: int
    result: dict[str, Any]


def measure(command: Sequence[str], directory: Path) -> Measured:
    """Run ``command`` in ``directory`` and wait for its end.

    Raises:
        ProgramError: It could not be started, failed, or printed something other than a JSON object.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        try:
            process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=errors)
        except OSError as error:
            raise ProgramError(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    try:
        result = json.loads(texts[0])
    except ValueError:
        result = None
    if process.returncode or not isinstance(result, dict):
        raise ProgramError(f"exit status {process.returncode}\n{texts[1][-2000:].strip()}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _MEMORY_UNIT, result)
