"""The accuracy plot: accuracy of every split against steps, for one history or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.report.formatting import shortened, tags, title
from normlab.report.style import (
    COLOURS,
    DASHES,
    FAINT,
    INK,
    MARKERS,
    figure_style,
    show_literally,
    spread,
    svg_bytes,
    text_width,
)
from normlab.runs.files import PathLike, write_atomically
from normlab.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Entries = list[tuple[str, dict[str, Any]]]
_WIDTH, _LEFT, _BOTTOM, _AXES_HEIGHT, _HEAD, _ROW = 7.4, 0.72, 0.53, 3.0, 0.62, 0.2  # inches; _ROW of the legend
_SMALL, _KEY = 8.5, 0.6  # points of small print; inches that an entry of the legend takes beside its text
_LABELS_AT_MOST = 14  # ends of lines that can be labelled one below the other
_MARKERS_PER_LINE = 10
_WHOLE_FROM = 0.5  # accuracies that span so much are shown on the whole scale from 0 to 1


@dataclass(frozen=True)
class _Line:
    """One curve: a split of a history.

    Attributes:
        label: what it is.
        steps: along the x axis.
        values: accuracies, NaN where one is missing.
        look: colour, dashes and marker, as Matplotlib calls them.
        leads: whether it is of the split that counts most in its history.
    """

    label: str
    steps: list[int]
    values: list[float]
    look: dict[str, Any]
    leads: bool

    def present(self) -> list[int]:
        """Indices of the values that are not missing."""
        return [index for index, value in enumerate(self.values) if not math.isnan(value)]


def accuracy_figure(histories: History | Sequence[History]) -> Figure:
    """Accuracy against steps, on one pair of axes.

    One history has a colour for each split; several have a colour for each history, and dashes tell the split. A
    missing accuracy is a gap. Needs no display, and leaves Matplotlib's settings as they were.

    Args:
        histories: one, or several for one pair of axes.

    Raises:
        ValueError: there is none.
    """
    histories = _several(histories)
    lines = _lines(histories)
    entries = _entries(histories)
    labelled = _labelled(lines)
    with figure_style():
        figure, axes = _page(entries, labelled)
        for number, line in enumerate(lines):
            axes.plot(line.steps, line.values, markevery=_marked(line, number), **line.look)
        _scale(axes, lines)
        _mark_divergence(axes, histories)
        _say_if_empty(axes, lines)
        _label_ends(axes, labelled)
        _head(figure, histories)
        _legend(axes, entries)
        show_literally(figure)
    return figure


def write_accuracy_svg(histories: History | Sequence[History], path: PathLike) -> None:
    """Writes the accuracy plot as SVG, atomically; the same histories give the same bytes.

    Args:
        histories: one, or several for one pair of axes.
        path: the file, e.g. `accuracy.svg` in a run's folder.

    Raises:
        StorageError: it can't be written.
        ValueError: there is no history.
    """
    about = ", ".join(title(_several(histories)))
    write_atomically(path, svg_bytes(accuracy_figure(histories), f"Accuracy against steps: {about}"))


def _several(histories: History | Sequence[History]) -> list[History]:
    several = [histories] if isinstance(histories, History) else list(histories)
    if not several:
        raise ValueError("no history to draw; expected at least one")
    return several


def _page(entries: _Entries, labelled: Sequence[_Line]) -> tuple[Figure, Axes]:
    """An empty figure with room for the legend above the axes and for the labels at their right."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - costs 0.4 s and is needed for figures only

    height = _BOTTOM + _AXES_HEIGHT + _ROW * math.ceil(len(entries) / _columns(entries)) + _HEAD
    right = 0.35 + max((text_width(f"{line.label} missing", _SMALL) for line in labelled), default=0)
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    width = (_WIDTH - _LEFT - right) / _WIDTH
    return figure, figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, width, _AXES_HEIGHT / height))


def _lines(histories: Sequence[History]) -> list[_Line]:
    alone = len(histories) == 1
    lines = []
    for place, (history, tag) in enumerate(zip(histories, tags(histories))):
        for number, split in enumerate(sorted(history.splits, key=_importance)):
            label = shortened(split if alone else f"{tag} {split}", 33)
            values = [math.nan if value is None else value for value in history.accuracy(split)]
            lines.append(_Line(label, history.steps, values, _look(number if alone else place, split), number == 0))
    return lines


def _labelled(lines: Sequence[_Line]) -> list[_Line]:
    """The lines whose ends are labelled: all of few, else those that count most, else none."""
    for some in (lines, [line for line in lines if line.leads]):
        ended = [line for line in some if line.present()]
        if len(ended) <= (3 if some is lines else _LABELS_AT_MOST):
            return ended
    return []


def _importance(split: str) -> int:
    return list(DASHES).index(split) if split in DASHES else len(DASHES)


def _look(number: int, split: str) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],  # another with the colour's next turn
        "linestyle": DASHES.get(split, (0, (3, 1, 1, 1))),
        "linewidth": 1.7,
        "markersize": 5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
        "zorder": 3 - _importance(split) / 10,
    }


def _marked(line: _Line, number: int) -> list[int]:
    """Which values carry a marker: some, at other steps than the neighbour's, the last, and those between gaps."""
    present = line.present()
    every = max(1, len(present) // _MARKERS_PER_LINE)
    chosen = set(present[(number * every // 2) % every :: every]) | set(present[-1:])
    near = set(present)
    chosen |= {index for index in present if not {index - 1, index + 1} & near}
    return sorted(chosen)


def _scale(axes: Axes, lines: Sequence[_Line]) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter  # noqa: PLC0415 - as above

    axes.set_xlabel("step")
    axes.set_ylabel("accuracy")
    axes.yaxis.set_label_coords(-0.55 / _WIDTH / axes.get_position().width, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    last = max((step for line in lines for step in line.steps), default=0) or 1
    axes.set_xlim(-0.02 * last, 1.02 * last)
    axes.set_ylim(*_accuracy_limits([line.values[index] for line in lines for index in line.present()]))


def _accuracy_limits(values: Sequence[float]) -> tuple[float, float]:
    """Tight to the values, but the whole scale where they span much of it, and never less than two points."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low >= _WHOLE_FROM:
        low, high = min(low, 0.0), max(high, 1.0)
        room = 0.02
    else:
        room = max(0.06 * (high - low), 0.01)
    return max(low - room, -0.02), min(high + room, 1.02)


def _mark_divergence(axes: Axes, histories: Sequence[History]) -> None:
    for history in histories:
        step = history.result.diverged_step if history.result else None
        if step is not None:
            left, right = axes.get_xlim()
            axes.set_xlim(left, max(right, step * 1.02))
            axes.axvline(step, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))


def _say_if_empty(axes: Axes, lines: Sequence[_Line]) -> None:
    if not any(line.present() for line in lines):
        axes.text(0.5, 0.5, "no accuracy was recorded", transform=axes.transAxes, ha="center", color=FAINT)


def _label_ends(axes: Axes, lines: Sequence[_Line]) -> None:
    """Writes the final accuracy of each line beside its end, the labels moved apart where they would overlap."""
    low, high = axes.get_ylim()
    last = [line.present()[-1] for line in lines]
    wanted = [(line.values[index] - low) / (high - low) for line, index in zip(lines, last)]
    for line, index, place in zip(lines, last, spread(wanted, gap=0.058, low=0.02, high=0.98)):
        value = "missing" if index < len(line.values) - 1 else f"{line.values[index]:.4f}"
        axes.annotate(
            f"{line.label} {value}",
            xy=(line.steps[index], line.values[index]),
            xytext=(1 + 0.2 / _WIDTH / axes.get_position().width, place),
            textcoords="axes fraction",
            va="center",
            fontsize=_SMALL,
            arrowprops={
                "arrowstyle": "-",
                "color": line.look["color"],
                "linewidth": 0.9,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 3,
            },
            annotation_clip=False,
        )


def _head(figure: Figure, histories: Sequence[History]) -> None:
    height = figure.get_figheight()
    rows = ((66, 12.5, "bold", INK, 0.27), (92, 9.5, "normal", FAINT, 0.49))
    for text, (letters, size, weight, colour, below) in zip(title(histories), rows):
        fitting = shortened(text, letters)
        shrink = min(1, (_WIDTH - 0.3) / max(text_width(fitting, size, weight), 0.1))
        place = 0.15 / _WIDTH, 1 - below / height
        figure.text(*place, fitting, fontsize=size * shrink, fontweight=weight, color=colour)


def _columns(entries: _Entries) -> int:
    widest = _KEY + max((text_width(label, _SMALL) for label, _ in entries), default=0)
    return max(1, min(6, int((_WIDTH - _LEFT) / widest)))


def _entries(histories: Sequence[History]) -> _Entries:
    """The entries of the legend: what each colour and marker, and each dash pattern, stands for."""
    splits = sorted({split for history in histories for split in history.splits}, key=_importance)
    if len(histories) == 1:
        return [(split, _look(number, split)) for number, split in enumerate(splits)]
    colours = [(tag, {**_look(place, ""), "linestyle": "none"}) for place, tag in enumerate(tags(histories))]
    return colours + [(split, {**_look(0, split), "color": INK, "marker": ""}) for split in splits]


def _legend(axes: Axes, entries: _Entries) -> None:
    """Puts the legend above the axes, where no line can run."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - as above

    handles = [Line2D([], [], label=" ", **look) for _, look in entries]
    legend = axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncol=_columns(entries),
        frameon=False,
        fontsize=_SMALL,
    )
    for text, (label, _) in zip(legend.get_texts(), entries):  # set late: labels that begin with _ are dropped
        text.set_text(label)
