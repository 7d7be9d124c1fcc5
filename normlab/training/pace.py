"""Waits for the device now and then, so that what was asked of it is never far ahead of what it has done."""

from __future__ import annotations

import time

from normlab.compat import mxnet

#: Seconds of work that the device may be behind.
LAG = 0.5


class Pace:
    """Counts steps, and waits for them when they are about half a second's work.

    MXNet only queues what it is told; a loop that never waits would be minutes ahead of the steps that are done, and
    could not stop before them.
    """

    def __init__(self) -> None:
        self._steps = 1
        self.begin()

    def begin(self) -> None:
        """Count from here: the device has nothing to do."""
        self._left = self._steps
        self._since = time.perf_counter()

    def stepped(self) -> bool:
        """Count a step; says whether all that was asked for is done."""
        self._left -= 1
        if self._left:
            return False
        mxnet().nd.waitall()
        took = time.perf_counter() - self._since
        self._steps = max(1, min(2 * self._steps, int(self._steps * LAG / max(took, 1e-6))))
        self.begin()
        return True
