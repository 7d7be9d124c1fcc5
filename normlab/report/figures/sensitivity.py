"""Accuracy of each arm against each tuned value, and against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.figures.arm_curves import line, looks
from normlab.report.figures.axes import accuracy_scale, label_ends, page, say
from normlab.report.style import figure_style, show_literally
from normlab.study.design.arms import Arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normlab.study.analysis.comparison import Comparison


_WIDE = 20  # times the smallest value from which the x axis is logarithmic


def swept(comparison: Comparison) -> list[str]:
    """The keys of which trials tried more than one value, in their order."""
    trials = [trial for row in comparison.rows for trial in row.arm.trials]
    keys = dict.fromkeys(key for trial in trials for key in trial.settings)
    return [key for key in keys if len({repr(trial.settings.get(key)) for trial in trials}) > 1]


def sensitivity_figure(comparison: Comparison, key: str) -> Figure:
    """The best score of the trials with each value of a key, whatever the other keys; the chosen value has a ring."""
    look = looks(comparison)
    values = _values(comparison, key)
    places = {repr(value): place for value, place in zip(values, _places(values))}
    found = [(row, _best(row.arm, key)) for row in comparison.rows]
    labels = [row.label for row, best in found if any(score is not None for score in best.values())]
    with figure_style():
        figure, axes = page(f"Trials by {key}", labels=labels)
        ends, seen = [], []
        for row, best in found:
            points = [(places[value], score) for value, score in best.items() if score is not None]
            points.sort()
            if points:
                axes.plot(*zip(*points), **line(look[row.label]))
                ends.append((row.label, *points[-1], look[row.label].colour))
            seen += [score for _, score in points]
            chosen = row.arm.chosen.get(key)
            for value in {repr(each) for each in (chosen if isinstance(chosen, list) else [chosen])}:
                _ring(axes, places.get(value), best.get(value))
        accuracy_scale(axes, seen)
        for number, (row, best) in enumerate(found):
            _mark_lost(axes, [places[v] for v, score in best.items() if score is None], look[row.label], number)
        _scale(axes, values)
        axes.set_xlabel(key)
        axes.set_ylabel("accuracy on validation")
        label_ends(axes, ends)
        show_literally(figure)
    return figure


def _values(comparison: Comparison, key: str) -> list[Any]:
    tried = {
        repr(trial.settings[key]): trial.settings[key]
        for row in comparison.rows
        for trial in row.arm.trials
        if key in trial.settings
    }
    values = list(tried.values())
    return sorted(values) if _are_numbers(values) else values


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _places(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values] if _are_numbers(values) else [float(i) for i in range(len(values))]


def _best(arm: Arm, key: str) -> dict[str, float | None]:
    """The best score with each value, None where every trial diverged or failed."""
    best: dict[str, float | None] = {}
    for trial in arm.trials:
        if key in trial.settings:
            value = repr(trial.settings[key])
            scores = [score for score in (best.get(value), trial.score) if score is not None]
            best[value] = max(scores, default=None)
    return best


def _ring(axes: Axes, place: float | None, score: float | None) -> None:
    if place is not None and score is not None:
        axes.plot(
            [place], [score], "o", markersize=11, fillstyle="none", color="#5a5a5a", markeredgewidth=1.1, zorder=5
        )


def _mark_lost(axes: Axes, places: Sequence[float], look: Any, number: int) -> None:
    """Crosses at the foot of the axes, a line of them for each arm, where its trials diverged."""
    height = 0.03 + 0.045 * number
    at = axes.get_xaxis_transform()
    axes.plot(places, [height] * len(places), "x", color=look.colour, markersize=4.5, transform=at, zorder=4)


def _scale(axes: Axes, values: Sequence[Any]) -> None:
    if not _are_numbers(values):
        axes.set_xticks(range(len(values)), labels=[str(value) for value in values])
    elif min(values) > 0 and max(values) > _WIDE * min(values):
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415 - as everywhere here

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=7))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(values) / 1.3, max(values) * 1.3)
    else:
        room = 0.05 * (max(values) - min(values)) or math.ulp(1.0)
        axes.set_xlim(min(values) - room, max(values) + room)


def cost_figure(comparison: Comparison) -> Figure:
    """Accuracy, with its 95 % interval, against milliseconds of a training step."""
    look = looks(comparison)
    points = [
        (row.label, cost, mean, row.accuracy)
        for row in comparison.rows
        for cost, mean in [(row.mean("milliseconds").mean, row.accuracy.mean)]
        if cost is not None and mean is not None
    ]
    with figure_style():
        figure, axes = page("Accuracy by cost of a step", labels=[label for label, *_ in points])
        seen: list[float] = []
        for label, cost, mean, accuracy in points:
            if accuracy.ends is not None:
                axes.plot([cost] * 2, accuracy.ends, color=look[label].colour, linewidth=1.4, zorder=2)
            axes.plot([cost], [mean], zorder=3, **{**line(look[label]), "markersize": 8})
            seen += [mean, *(accuracy.ends or ())]
        accuracy_scale(axes, [min(end, 1.0) for end in seen])
        axes.set_xlabel("milliseconds a training step")
        axes.set_ylabel(f"accuracy on {comparison.question.split}")
        if points:
            axes.set_xlim(0, 1.08 * max(cost for _, cost, *_ in points))
            label_ends(axes, [(label, cost, mean, look[label].colour) for label, cost, mean, _ in points])
        else:
            say(axes, "no arm has a run that completed")
        show_literally(figure)
    return figure
