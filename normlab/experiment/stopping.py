"""Stopping in good order: Ctrl-C and SIGTERM as a request that a training loop meets between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """Somebody asked to stop; no `Exception`, so that no plugin takes it for an error of its own."""


class Stop:
    """Whether to stop.

    Attributes:
        number: The signal that asked for it, None as long as none did.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._at_once = False

    def request(self, number: int) -> None:
        """Ask to stop; called by whoever handles the signal.

        Raises:
            Stopped: The program is where it can stop at once.
        """
        self.number = number
        if self._at_once:
            raise Stopped

    def check(self) -> None:
        """Stop here if that was asked for.

        Raises:
            Stopped: It was.
        """
        if self.number is not None:
            raise Stopped

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a request stops the program wherever it is: for long work that changes nothing."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False


_active: list[Stop] = []


def active() -> Stop | None:
    """What a handler of signals is to ask, None if nothing runs that stops in good order."""
    return _active[-1] if _active else None


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Inside, a signal asks to stop instead of breaking in anywhere.

    The command line's own handlers know of this. Where Python's handler of Ctrl-C stands, as in a notebook, it is
    replaced meanwhile: the first Ctrl-C asks, the second raises `KeyboardInterrupt` as ever. Signals reach the main
    thread alone, so nothing changes in another.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)
    _active.append(stop)
    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, _first)
        yield stop
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        _active.remove(stop)


def _first(number: int, _: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = active()
    if stop is not None:
        stop.request(number)
