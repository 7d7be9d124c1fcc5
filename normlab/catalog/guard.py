"""Run a plugin's code so that it changes nothing for anybody else: neither the screen nor the generators."""

from __future__ import annotations

import io
import os
import random
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Characters of what a plugin prints that are shown.
_LONGEST = 60


class _Global(NamedTuple):
    """Something that all code of a process shares."""

    what: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


class Guard:
    """Keeps what plugins print from the screen, and puts back what all code shares.

    Put back are the global generators of Python and NumPy and the current folder, to what they were when the guard was
    made: reading them before each plugin again would take longer than loading it. MXNet's generator can't be read, so
    it can't be put back; normlab's runs don't depend on its state.
    """

    def __init__(self) -> None:
        self._before = {shared: shared.get() for shared in _shared()}

    @contextmanager
    def watching(self, remarks: list[str]) -> Iterator[None]:
        """Run the code of one plugin.

        Args:
            remarks: Gets a sentence for each thing that the plugin did.
        """
        had_mxnet = "mxnet" in sys.modules
        # with `buffer`, which some code writes to
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace", write_through=True)
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                yield
        finally:
            text = _text(printed)
            if text:
                remarks.append(f"prints {text[:_LONGEST]!r}")
            remarks += self._put_back()
            if not had_mxnet and "mxnet" in sys.modules:
                remarks.append("imports MXNet, which makes listing plugins a second slower; use the F that methods get")

    def _put_back(self) -> Iterator[str]:
        for shared in _shared():
            now = shared.get()
            # what was not there before, since nobody had imported it, is as good as any
            before = self._before.setdefault(shared, now)
            if now != before:
                shared.put(before)
                yield f"changes {shared.what}, which was put back"


def _text(printed: io.TextIOWrapper) -> str:
    if printed.closed:
        return ""
    return bytes(printed.buffer.getvalue()).decode("utf-8", "replace").strip()  # type: ignore[attr-defined] # a BytesIO


def _shared() -> Iterator[_Global]:
    yield _Global("Python's global random generator", random.getstate, random.setstate)
    yield _Global("the current folder", _folder, _enter)
    if "numpy" in sys.modules:
        yield _Global("NumPy's global random generator", _numpy_state, _put_numpy_state)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - compared as text
    except OSError:  # it was deleted
        return ""


def _enter(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = sys.modules["numpy"].random.get_state()
    return (name, keys.tobytes(), *rest)


def _put_numpy_state(state: tuple[Any, ...]) -> None:
    numpy = sys.modules["numpy"]
    name, keys, *rest = state
    numpy.random.set_state((name, numpy.frombuffer(keys, dtype="uint32"), *rest))
