"""Paired differences to the baseline with their intervals: a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.report.figures.arm_curves import Look, looks
from normlab.report.figures.axes import SMALL, page, say
from normlab.report.formatting import shortened
from normlab.report.style import FAINT, GRID, INK, figure_style, show_literally, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row

_LONGEST = 20
_FAR = 12  # times the usual size from which one difference would squash all others


def differences_figure(comparison: Comparison) -> Figure:
    """A row an arm: the mean difference, its 95 % interval, the difference with each seed, the verdict."""
    rows, look, question = comparison.others, looks(comparison), comparison.question
    names = [shortened(row.label, _LONGEST) for row in rows]
    left = 0.3 + max((text_width(name, SMALL) for name in names), default=0.3)
    title = f"Difference of accuracy to {question.baseline}"
    with figure_style():
        height = 1.35 + 0.36 * max(3, len(rows))
        figure, axes = page(title, labels=["equivalent"], left=left, height=height)
        axes.axvspan(-question.margin, question.margin, color=GRID, alpha=0.75, linewidth=0, zorder=0)
        axes.axvline(0, color=INK, linewidth=1.1, zorder=1)
        for place, row in enumerate(rows):
            _draw(axes, row, len(rows) - 1 - place, look[row.label])
        axes.set_yticks([len(rows) - 1 - place for place in range(len(rows))], labels=names, fontsize=SMALL)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-0.7, max(len(rows), 1) - 0.3)
        axes.set_xlabel("difference, same seed")
        if any(row.trouble for row in (*rows, comparison.baseline)):
            figure.text(0.98, 0.03, "* some runs did not complete", fontsize=7.5, color=FAINT, ha="right")
        _scale(axes, rows, question.margin)
        if not rows:
            say(axes, "there is no other arm")
        show_literally(figure)
    return figure


def _draw(axes: Axes, row: Row, place: int, look: Look) -> None:
    judged = row.judgement
    assert judged is not None  # noqa: S101 - only the baseline has none
    seeds, mean = list(judged.evidence.differences), judged.estimate
    decided = row.verdict in {"better", "worse"}
    axes.plot(seeds, [place - 0.24] * len(seeds), "|", color=look.colour, markersize=4.5, alpha=0.75, zorder=2)
    if mean.ends is not None:
        axes.plot(mean.ends, [place] * 2, color=look.colour, linewidth=2.2, solid_capstyle="butt", zorder=3)
    if mean.mean is not None:
        inside = look.colour if decided else "white"
        axes.plot(
            [mean.mean],
            [place],
            marker=look.marker,
            markersize=7,
            color=inside,
            markeredgecolor=look.colour,
            markeredgewidth=1.4,
            zorder=4,
        )
    words = row.verdict + ("*" if row.trouble else "")
    axes.annotate(
        words,
        xy=(1, place),
        xytext=(8, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        fontweight="bold" if decided else "normal",
        color=INK if decided else FAINT,
        annotation_clip=False,
    )


def _scale(axes: Axes, rows: tuple[Row, ...], margin: float) -> None:
    """Let all be seen; where one arm is far from the others, outside of their range by a logarithmic scale."""
    ends = [
        max(abs(end) for end in (one.low, one.high, one.mean) if end is not None)
        for one in (row.judgement.estimate for row in rows if row.judgement is not None)
        if one.mean is not None
    ]
    usual = max(sorted(ends)[len(ends) // 2] if ends else 0.0, margin, 1e-6)
    if max(ends, default=0.0) > _FAR * usual:
        axes.set_xscale("symlog", linthresh=usual, linscale=1.5)
    else:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - costs 0.4 s and is needed for figures only

        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(_signed)


def _signed(value: float, _place: float | None) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+.4f}".rstrip("0").replace("-", "\N{MINUS SIGN}")  # noqa: PLR2004 - rounding
