"""Grids: the values that a nuisance factor may take, the same for every arm."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, model_validator

from normlab.spec.part import STRICT, mistake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_POINTS = 1000
"""Points of the largest grid."""

#: Digits of a value computed: the same on every machine, and short in tables.
_DIGITS = 4


class Range(BaseModel):
    """Values from one bound to the other, both included, evenly apart."""

    model_config = STRICT

    start: float = Field(alias="from", description="The first value.")
    stop: float = Field(alias="to", description="The last value.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="Even steps: linear, the same difference; log, the same factor."
    )
    count: int = Field(ge=2, le=MOST_POINTS, description="How many values.")

    @model_validator(mode="after")
    def _sound(self) -> Range:
        if self.start >= self.stop:
            raise mistake(f"from {self.start:g} to {self.stop:g}; expected from below to")
        if self.scale == "log" and self.start <= 0:
            raise mistake(f"from {self.start:g} on a log scale; expected from above 0")
        if len(set(self.values())) < self.count:
            raise mistake(f"{self.count} values from {self.start:g} to {self.stop:g} are too close; expected fewer")
        return self

    def values(self) -> tuple[float, ...]:
        """The values, rising; those between the bounds rounded to 4 digits."""
        inner = [self._at(index / (self.count - 1)) for index in range(1, self.count - 1)]
        return (_whole(self.start), *(_whole(float(f"{value:.{_DIGITS}g}")) for value in inner), _whole(self.stop))

    def _at(self, part: float) -> float:
        if self.scale == "linear":
            return self.start + part * (self.stop - self.start)
        return math.exp(math.log(self.start) + part * (math.log(self.stop) - math.log(self.start)))


def points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of the values of all keys, the last key's running fastest; one empty point without keys."""
    return [dict(zip(grid, values)) for values in product(*grid.values())]


def _whole(value: float) -> float:
    """A whole number as such, for settings that take no other; settings that take any take it too."""
    return int(value) if value.is_integer() and abs(value) < 1 / math.ulp(1.0) else value
