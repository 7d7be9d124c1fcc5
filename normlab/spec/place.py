"""Where something was written: the place that an error names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A position in a file, or a part of the command line.

    Attributes:
        source: The file as the person named it, or e.g. `-s optimizer.learning_rate=0.1`.
        line: Counted from 1; None if the source has no lines.
        column: Counted from 1, in characters; None if the source has no lines.
    """

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.source
        return f"{self.source}:{self.line}:{self.column or 1}"
