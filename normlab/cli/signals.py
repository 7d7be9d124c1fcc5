"""Ctrl-C and SIGTERM: the first asks the command to stop in good order, the second ends the process at once."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

from normlab.errors import ExitStatus
from normlab.experiment import stopping

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whoever handles Ctrl-C handles this too."""

    status = ExitStatus.TERMINATED


def listen() -> None:
    """From here on, the first SIGINT or SIGTERM stops the command, and any further one ends the process at once.

    What stops in good order is asked to (`normlab.experiment.stopping`). Elsewhere the signal becomes an exception:
    SIGINT `KeyboardInterrupt`, SIGTERM `Terminated`. A signal that the process was started to ignore, as a shell does
    for what runs in the background, is still ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _first)


def _first(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, _second)
    stop = stopping.active()
    if stop is not None:
        stop.request(number)
        return
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _second(number: int, _: FrameType | None) -> NoReturn:
    # 128 + number is what a shell reports for a process that a signal ended.
    os._exit(128 + number)
