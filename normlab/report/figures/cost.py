"""What each arm costs against how accurate it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.report.figures.arm_curves import line
from normlab.report.figures.arm_looks import looks
from normlab.report.figures.axes import accuracy_scale, label_ends, page, say
from normlab.report.style import figure_style, show_literally

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from normlab.study.analysis.comparison import Comparison


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
