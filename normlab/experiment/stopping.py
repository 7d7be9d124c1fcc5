"""Turn Ctrl-C and SIGTERM into a stop request, which the training loop checks between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """The run stops on request. Not an `Exception`, so that no plugin catches it by mistake."""


class Stop:
    """A stop request, made by a signal handler and checked by the training loop.

    Attributes:
        number: The signal that requested the stop, None before any has.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._interrupts = False

    def request(self, number: int) -> None:
        """Request a stop; signal handlers call this.

        Raises:
            Stopped: The program is inside `allow_interrupts`.
        """
        self.number = number
        if self._interrupts:
            raise Stopped

    def check(self) -> None:
        """Stop here if a stop was requested.

        Raises:
            Stopped: It was requested.
        """
        if self.number is not None:
            raise Stopped

    @contextmanager
    def allow_interrupts(self) -> Iterator[None]:
        """Let a request stop this block anywhere; meant for long work that changes no state."""
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False


_active: list[Stop] = []


def active() -> Stop | None:
    """Return the innermost `Stop` that a signal handler should ask, None if no run is active."""
    return _active[-1] if _active else None


@contextmanager
def accept_stop_requests() -> Iterator[Stop]:
    """Let a signal request a stop in this block, rather than interrupt it anywhere.

    The command line's signal handlers ask `active()`. If Python's own handler of Ctrl-C is installed, as in a
    notebook, it is replaced inside the block: the first Ctrl-C requests a stop, the second raises `KeyboardInterrupt`
    as usual. Python delivers signals to the main thread only, so the block changes nothing in other threads.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)
    _active.append(stop)
    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, _request_stop)
        yield stop
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        _active.remove(stop)


def _request_stop(number: int, _: FrameType | None) -> None:
    """Handle the first Ctrl-C, and leave the second to Python."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = active()
    if stop is not None:
        stop.request(number)
