"""Accuracy of each arm against steps or seconds: the mean of its runs, and a band that spans all of them.

Colour and marker of an arm are the same in every figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from normlab.report.figures.axes import accuracy_scale, label_ends, page, say, thousands
from normlab.report.style import COLOURS, INK, MARKERS, figure_style, show_literally
from normlab.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row


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


Along = Literal["step", "seconds"]
_MARKERS_PER_LINE = 7


@dataclass(frozen=True)
class Curve:
    """What is drawn of an arm.

    Attributes:
        label: The arm's.
        x: Steps, or the mean of the seconds until then.
        mean: Mean accuracy of the runs that completed.
        low: The lowest of them.
        high: The highest.
        lost: Of each run that diverged, its x and its accuracies until then.
    """

    label: str
    x: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    lost: list[tuple[list[float], list[float]]]


def curves_figure(comparison: Comparison, along: Along = "step") -> Figure:
    """Accuracy on the question's split against steps or seconds."""
    split, look = comparison.question.split, looks(comparison)
    drawn = [curve(row, split, along) for row in comparison.rows]
    words = {"step": "step", "seconds": "seconds, training and evaluations"}
    with figure_style():
        figure, axes = page(f"Accuracy on {split} by {along}", labels=[one.label for one in drawn if one.x])
        for number, one in enumerate(drawn):
            _draw(axes, one, look[one.label], number, on_top=one.label == comparison.question.baseline)
        values = [value for one in drawn for value in (*one.low, *one.high, *(v for _, kept in one.lost for v in kept))]
        accuracy_scale(axes, values)
        axes.set_xlim(left=0)
        axes.set_xlabel(words[along])
        axes.set_ylabel("accuracy")
        if values:
            thousands(axes)
            label_ends(axes, [(one.label, one.x[-1], one.mean[-1], look[one.label].colour) for one in drawn if one.x])
        else:
            say(axes, "no accuracy was recorded")
        show_literally(figure)
    return figure


def curve(row: Row, split: str, along: Along) -> Curve:
    """The mean and the range of an arm's runs at each evaluation that all completed runs have."""
    completed = [run for run, measured in zip(row.arm.runs, row.runs) if measured.accuracy is not None]
    lost = [run for run, measured in zip(row.arm.runs, row.runs) if measured.accuracy is None]
    at = [_points(run, split, along) for run in completed]
    steps = [step for step in at[0] if all(step in one for one in at)] if at else []
    values = [[one[step][1] for one in at] for step in steps]
    return Curve(
        row.label,
        [math.fsum(one[step][0] for one in at) / len(at) for step in steps],
        [math.fsum(each) / len(each) for each in values],
        [min(each) for each in values],
        [max(each) for each in values],
        [
            ([x for x, _ in points], [y for _, y in points])
            for points in (_points(run, split, along).values() for run in lost)
        ],
    )


def _points(run: History, split: str, along: Along) -> dict[int, tuple[float, float]]:
    """By step, where along the x axis it is and the accuracy, if that is not missing."""
    found = {}
    for one in run:
        accuracy = one.accuracy[split]
        if accuracy is not None:
            found[one.step] = (float(getattr(one, along)), accuracy)
    return found


def _draw(axes: Axes, one: Curve, look: Look, number: int, *, on_top: bool) -> None:
    over = 4 if on_top else 3
    if one.x:
        if one.low != one.high:
            axes.fill_between(one.x, one.low, one.high, color=look.colour, alpha=0.16, linewidth=0, zorder=over - 1)
        axes.plot(one.x, one.mean, markevery=_marked(one.x, number), zorder=over, **line(look))
    for x, kept in one.lost:
        axes.plot(x, kept, color=look.colour, linewidth=0.9, linestyle=look.dashes, alpha=0.8, zorder=over)
        axes.plot(x[-1:], kept[-1:], color=look.colour, marker="x", markersize=7, markeredgewidth=2, zorder=over + 1)


def line(look: Look) -> dict[str, Any]:
    """The look of an arm's line, as keywords of Matplotlib."""
    return {
        "color": look.colour,
        "linestyle": look.dashes,
        "marker": look.marker,
        "markersize": 5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
        "linewidth": 1.6,
    }


def _marked(x: Sequence[float], number: int) -> list[int]:
    """Few markers on each line, at other places than its neighbours' have them."""
    stride = max(1, len(x) // _MARKERS_PER_LINE)
    return list(range(number * stride // 3 % stride if stride > 1 else 0, len(x), stride))
