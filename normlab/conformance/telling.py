"""Errors of a method in one line."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from normlab.errors import NormlabError

#: Where in MXNet's own source an error arose, and when.
_ORIGIN = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")


def told(error: BaseException) -> str:
    """An exception in one line, with the line of the method where it arose.

    Of MXNet's errors, which come with a trace of its own, the last line is kept.
    """
    if type(error).__name__ == "MXNetError":
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return _ORIGIN.sub("", lines[-1]) if lines else "MXNetError"
    text = str(error) if isinstance(error, NormlabError) else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "/mxnet/" not in frame.filename][-1]
    return f"{' '.join(text.split())} ({Path(last.filename).name}:{last.lineno})"
