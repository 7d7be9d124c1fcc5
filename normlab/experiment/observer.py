"""What a run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normlab.runs.history import History, Record


@dataclass(frozen=True)
class Plan:
    """What a run is about to do.

    Attributes:
        name: The spec's name.
        label: Its norm, in a word.
        seed: Its seed.
        devices: The devices, as text.
        directory: Where its files go.
        first_step: Steps already taken.
        steps: Steps in all.
    """

    name: str
    label: str
    seed: int
    devices: tuple[str, ...]
    directory: Path
    first_step: int
    steps: int


class Observer:
    """Watches a run; a subclass overrides what it wants to see."""

    def started(self, plan: Plan) -> None:
        """Training begins."""

    def stepped(self, step: int) -> None:
        """So many steps are taken."""

    def evaluated(self, record: Record) -> None:
        """An evaluation is done and stored."""

    def warned(self, message: str) -> None:
        """Something is not as the person may think."""

    def finished(self, history: History) -> None:
        """The run ended and its result is stored."""

    def reused(self, history: History) -> None:
        """The run was done before; this is what was stored."""
