"""What a person sees of a comparison: a table with one row an arm, and what to know before believing it."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import click

from normlab.cli.views import output
from normlab.report import formatting as wording
from normlab.report.figures.strip import strips
from normlab.report.formatting import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row

_BAR = 24
_WIDTH = 100
_LONGEST = 28
_STYLES = {"better": "bold green", "worse": "bold red", "equivalent": "cyan", "undecided": "", "baseline": "dim"}
#: Mean, interval, and the baseline's mean, as drawn in a terminal and as written elsewhere.
_DRAWN, _PLAIN = ("●", "─", "┊"), ("o", "-", "|")


#: Columns that are aligned to the left; how many are no thresholds.
_LEFT, _FIXED = (0, 1, 4), 8


def show(comparison: Comparison) -> None:
    """Print the table, drawn for a terminal, else in plain columns; then pairing, warnings and notes."""
    click.echo()
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        console.print(_drawn(comparison, console.width))
    else:
        header = _header(comparison)
        rows = [_cells(row, comparison, _PLAIN) for row in comparison.rows]
        right = [index for index in range(len(header)) if index not in _LEFT]
        click.echo("\n".join(output.columns([header, *rows], right=right)))
    click.echo("\n".join(["", *_below(comparison)]))
    for line in comparison.warnings:
        output.warn(line)


def _header(comparison: Comparison) -> list[str]:
    thresholds = [f"steps to {threshold:g}" for threshold in comparison.question.thresholds]
    return ["arm", "verdict", "accuracy", "±", "", f"less {comparison.question.baseline}", "95 %", "p", *thresholds]


def _cells(row: Row, comparison: Comparison, marks: tuple[str, str, str]) -> list[str]:
    judged = row.judgement
    return [
        shortened(row.label, _LONGEST),
        row.verdict,
        wording.accuracy(row.accuracy.mean) + ("*" if row.trouble else ""),
        wording.plus_minus(row.accuracy).removeprefix("±"),
        bar(row, comparison, marks),
        wording.signed(judged.estimate.mean) if judged else "",
        wording.interval(judged.estimate) if judged else "",
        wording.p_value(judged.adjusted_p) if judged else "",
        *(wording.steps(one) for one in row.reached),
    ]


def bar(row: Row, comparison: Comparison, marks: tuple[str, str, str] = _PLAIN) -> str:
    """Where an arm's accuracy lies among those of all arms: its mean in its interval, and the baseline's mean."""
    places = {
        name: round(place / 100 * (_BAR - 1))
        for name, place in strips(row, comparison).items()
        if isinstance(place, (int, float))
    }
    mean, line, baseline = marks
    cells = [" "] * _BAR
    if "baseline" in places:
        cells[places["baseline"]] = baseline
    if "low" in places:
        cells[places["low"] : places["high"] + 1] = line * (places["high"] + 1 - places["low"])
    if "mean" in places:
        cells[places["mean"]] = mean
    return "".join(cells)


def _drawn(comparison: Comparison, width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    header = _header(comparison)
    rows = [_cells(row, comparison, _DRAWN) for row in comparison.rows]
    shown = _fitting([max(map(len, column)) for column in zip(header, *rows)], width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index in shown:
        table.add_column(Text(header[index]), justify="left" if index in _LEFT else "right", no_wrap=index > 0)
    for row, cells in zip(comparison.rows, rows):
        styles = {0: "bold", 1: _STYLES[row.verdict]}
        table.add_row(*(Text(cells[index], style=styles.get(index, "")) for index in shown))
    return table


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """The columns that are shown side by side, three cells apart; a narrow terminal goes without the last words."""
    shown = list(range(len(widths)))
    thresholds = reversed(shown[_FIXED:])
    for index in (6, 4, 3, *thresholds, 7):
        if sum(widths[column] + 3 for column in shown) > width:
            shown.remove(index)
    return shown


def _below(comparison: Comparison) -> list[str]:
    """What stands below the table, in lines that fit."""
    lines = [comparison.finding()]
    if comparison.pairing:
        lines += comparison.pairing.split("\n")
    lines += [
        f"* {row.label}: {row.trouble}; the mean is of the {len(row.completed)} others" for row in _troubled(comparison)
    ]
    lines += [f"{row.label}: {row.verdict}: {row.judgement.reason}" for row in _troubled(comparison) if row.judgement]
    return [short for line in [*lines, *comparison.notes] for short in textwrap.wrap(line, _WIDTH) or [""]]


def _troubled(comparison: Comparison) -> list[Row]:
    return [row for row in comparison.rows if row.trouble]
