"""What the figures of a study have in common: the page, the scale of accuracies, labels beside lines and points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.formatting import shortened
from normlab.report.style import FAINT, INK, spread, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.4, 3.55  # inches: letters are readable on a phone, and two figures stand beside each other elsewhere
SMALL = 8.5
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.62, 0.14, 0.52, 0.42
_LONGEST = 20  # letters of a label
_TICKS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
_FEWEST_ERRORS = 1e-4  # below which the scale goes no further
_STRETCHED_FROM = 0.9


def page(title: str, *, labels: Sequence[str] = (), left: float = _LEFT, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """A figure with its title and one pair of axes.

    Args:
        title: What is shown.
        labels: What is to stand at the right of the axes.
        left: Inches left of the axes.
        height: Of the figure, in inches.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - costs 0.4 s and is needed for figures only

    right = _RIGHT + max((0.2 + text_width(shortened(text, _LONGEST), SMALL) for text in labels), default=0.0)
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    box = (left / WIDTH, _BOTTOM / height, (WIDTH - left - right) / WIDTH, (height - _BOTTOM - _TOP) / height)
    axes = figure.add_axes(box)
    figure.text(0.1 / WIDTH, 1 - 0.24 / height, shortened(title, 62), fontsize=10.5, fontweight="bold", color=INK)
    return figure, axes


def accuracy_scale(axes: Axes, values: Sequence[float]) -> None:
    """Scale the y axis for accuracies: by the logarithm of the error where some come near 1, else evenly.

    Args:
        axes: The axes.
        values: All that is to be seen.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high < _STRETCHED_FROM or not values:
        room = max(0.06 * (high - low), 0.01)
        axes.set_ylim(low - room, high + room)
        return
    axes.set_yscale("function", functions=(_stretched, _shrunk))
    ends = _stretched([low, high])
    room = max(0.05 * float(ends[1] - ends[0]), 0.02)
    low, high = _shrunk([ends[0] - room, ends[1] + room])
    axes.set_ylim(float(low), float(high))
    ticks = _accuracy_ticks(float(low), float(high))
    axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write labels at the right of the axes, each with a thin line to where it belongs, moved apart where they meet.

    Args:
        axes: The axes, scaled.
        ends: Label, x, y and colour of each.
    """
    to_fraction = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_fraction.transform((x, y))[1]) for _, x, y, _ in ends]
    inches = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    gap, beside = 12.5 / 72 / inches.height, 1 + 0.16 / inches.width
    for (label, x, y, colour), place in zip(ends, spread(wanted, gap=gap, low=0.0, high=1.0)):
        start = to_fraction.transform((x, y))
        # plain lines: Matplotlib's arrows take more time than all else in a figure
        axes.plot(
            [start[0], beside - 0.01],
            [start[1], place],
            transform=axes.transAxes,
            color=colour,
            linewidth=0.8,
            clip_on=False,
            zorder=1.5,
        )
        text = shortened(label, _LONGEST)
        axes.text(beside, place, text, transform=axes.transAxes, va="center", fontsize=SMALL)


def say(axes: Axes, text: str) -> None:
    """Write a sentence into axes that have nothing else to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=SMALL)


def thousands(axes: Axes) -> None:
    """Write the numbers of the x axis as 1,000."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - as above

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _stretched(accuracies: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - as above

    return -np.log10(np.maximum(1 - np.asarray(accuracies, dtype=float), _FEWEST_ERRORS))


def _shrunk(places: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - as above

    return 1 - 10 ** -np.asarray(places, dtype=float)


def _accuracy_ticks(low: float, high: float) -> list[float]:
    """Round accuracies, finer where the error is smaller; in a narrow range those that fall evenly."""
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    if len(ticks) >= 3:  # noqa: PLR2004 - fewer don't show the scale
        return ticks
    step = 10 ** math.floor(math.log10(high - low))
    step = next(step / part for part in (1, 2, 5, 10, 20) if (high - low) / (step / part) >= 3)  # noqa: PLR2004 - as above
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
