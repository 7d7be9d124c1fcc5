"""Count how often a promise was tested and how often it was broken."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """The number of tests of a promise, and a message for each one that failed."""

    promise: str
    tried: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, kept: bool, message: object = "") -> None:
        self.tried += 1
        if not kept:
            self.broken.append(str(message)[:500])

    def __str__(self) -> str:
        return f"{self.promise}: {self.tried - len(self.broken)} of {self.tried}"


def merge(tallies: list[Tally]) -> Tally:
    """Merge tallies of one promise."""
    broken = [message for tally in tallies for message in tally.broken]
    return Tally(tallies[0].promise, sum(tally.tried for tally in tallies), broken)
