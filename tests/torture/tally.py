"""How often a promise was tried, and how often it was kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """How often a promise was tried, and how often it was kept."""

    what: str
    tried: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, kept: bool, told: object = "") -> None:
        self.tried += 1
        if not kept:
            self.broken.append(str(told)[:500])

    def __str__(self) -> str:
        return f"{self.what}: {self.tried - len(self.broken)} of {self.tried}"


def joined(tallies: list[Tally]) -> Tally:
    """One tally of several of the same promise."""
    broken = [told for tally in tallies for told in tally.broken]
    return Tally(tallies[0].what, sum(tally.tried for tally in tallies), broken)
