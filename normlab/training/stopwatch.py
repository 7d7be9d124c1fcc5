"""Seconds spent, by what they were spent on."""

from __future__ import annotations

import time
from typing import Literal

Activity = Literal["other", "training", "evaluation"]


class Stopwatch:
    """Adds up the seconds of each activity; one goes on at a time.

    Args:
        training: Seconds of training that were spent before.
        evaluation: Seconds of evaluation that were spent before.
    """

    def __init__(self, training: float = 0.0, evaluation: float = 0.0) -> None:
        self._spent: dict[Activity, float] = {"other": 0.0, "training": training, "evaluation": evaluation}
        self._activity: Activity = "other"
        self._since = time.perf_counter()

    def turn(self, activity: Activity) -> Activity:
        """Go over to another activity; gives the one before."""
        now = time.perf_counter()
        self._spent[self._activity] += now - self._since
        before, self._activity, self._since = self._activity, activity, now
        return before

    def spent(self, activity: Activity) -> float:
        """Seconds so far."""
        self.turn(self._activity)
        return self._spent[activity]
