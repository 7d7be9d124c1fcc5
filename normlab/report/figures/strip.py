"""The small picture in a row of the table: where an arm's accuracy lies among those of all arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row


def strip_scale(comparison: Comparison) -> tuple[float, float]:
    """The lowest and the highest accuracy that the pictures of a table show: of single runs, and of means."""
    seen = [value for row in comparison.rows for value in _values(row)]
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    room = 0.03 * (high - low) or 0.01
    return low - room, high + room


def strips(row: Row, comparison: Comparison) -> dict[str, Any]:
    """Places from 0 to 100: of the mean, the ends of its interval, each run, and the baseline's mean."""
    low, high = strip_scale(comparison)

    def place(value: float | None) -> float | None:
        return None if value is None else round(min(max(100 * (value - low) / (high - low), 0), 100), 2)

    return {
        "mean": place(row.accuracy.mean),
        "low": place(row.accuracy.low),
        "high": place(row.accuracy.high),
        "runs": [place(run.accuracy) for run in row.completed],
        "baseline": place(comparison.baseline.accuracy.mean),
    }


def _values(row: Row) -> list[float]:
    values = [run.accuracy for run in row.completed] + [row.accuracy.mean]
    return [value for value in values if value is not None]
