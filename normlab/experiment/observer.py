"""The callbacks through which a run reports its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normlab.runs.history import History, Record


@dataclass(frozen=True)
class Plan:
    """What a run is about to do.

    Attributes:
        name: The spec's name.
        label: A short label of its norm.
        seed: Its seed.
        devices: Names of its devices.
        directory: The run directory.
        first_step: Number of steps already taken.
        steps: Total number of steps.
    """

    name: str
    label: str
    seed: int
    devices: tuple[str, ...]
    directory: Path
    first_step: int
    steps: int


class Observer:
    """Observes a run. Each method does nothing; override the ones you need."""

    def started(self, plan: Plan) -> None:
        """Called when training begins."""

    def stepped(self, step: int) -> None:
        """Called after each training step with the number of steps taken."""

    def evaluated(self, record: Record) -> None:
        """Called after each evaluation, once its record is stored."""

    def warned(self, message: str) -> None:
        """Called with each warning."""

    def finished(self, history: History) -> None:
        """Called when the run has ended and its result is stored."""

    def reused(self, history: History) -> None:
        """Called instead of the others when the run is already stored."""
