"""What a plugin's code raised, told in one line with its place in the plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import NormlabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_HERE = str(Path(__file__).parent)


def told(error: BaseException) -> str:
    """An exception of a plugin in one line, with the line of the plugin where it arose.

    Raises:
        KeyboardInterrupt: It is one: the person wants an end, which is no fault of a plugin's.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # noqa: BLE001 - a plugin's exception may be broken too
        text = "(it can't be told as text)"
    if not isinstance(error, NormlabError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    file, line = place(error)
    return f"{text} ({file}:{line})" if file else text


def place(error: BaseException) -> tuple[str, int]:
    """File and line of a plugin where an exception arose; "" and 0 if it arose before any of its lines ran."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    frames = [frame for frame in _frames(error.__traceback__) if not _is_machinery(frame[0])]
    if not frames:
        return "", 0
    # the deepest line of the plugin's own, not of a library that it calls
    own = Path(frames[0][0]).parent
    return [frame for frame in frames if own == Path(frame[0]).parent][-1]


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _is_machinery(file: str) -> bool:
    return file.startswith(("<frozen", _HERE)) or "importlib" in Path(file).parts
