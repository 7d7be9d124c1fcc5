"""How the arms of a study look in its figures: colour and marker of each, the same in every figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from normlab.report.style import COLOURS, INK, MARKERS

if TYPE_CHECKING:
    from normlab.study.analysis.comparison import Comparison

#: The baseline is drawn in ink, with a marker and a dash of its own; black is no other arm's colour.
_BASELINE = (INK, "X", (0, (5, 1.6)))
_OTHERS = COLOURS[:6]
_MARKERS = MARKERS[:6]


class Look(NamedTuple):
    """Colour, marker and dashes of an arm, as Matplotlib calls them."""

    colour: str
    marker: str
    dashes: str | tuple[float, tuple[float, ...]]


def looks(comparison: Comparison) -> dict[str, Look]:
    """The look of each arm, by its label."""
    found = {comparison.baseline.label: Look(*_BASELINE)}
    for number, row in enumerate(comparison.others):
        turn, place = divmod(number, len(_OTHERS))
        marker = _MARKERS[(place + turn) % len(_MARKERS)]  # another with the colour's next turn
        found[row.label] = Look(_OTHERS[place], marker, "solid" if turn % 2 == 0 else (0, (2, 1.2)))
    return found
