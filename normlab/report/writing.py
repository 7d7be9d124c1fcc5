"""The report of a study: one page, its figures as files, and all histories as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from normlab.report.figures.arm_curves import curves_figure
from normlab.report.figures.differences import differences_figure
from normlab.report.figures.drawing import Drawing, do_all, draw
from normlab.report.figures.sensitivity import cost_figure, sensitivity_figure, swept
from normlab.report.page import page
from normlab.report.style import figure_style
from normlab.runs.files import read_bytes, storage_errors, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from normlab.study.analysis.comparison import Comparison

REPORT, HISTORIES, FIGURES, STUDY = "report.html", "histories.csv", "figures", "study.yaml"
#: Keys that are drawn, of those that were tuned.
_MOST_SWEPT = 4


def write_report(comparison: Comparison, folder: Path, *, commands: Sequence[str] = ()) -> dict[str, Path]:
    """Write a study's report; the same comparison gives the same bytes.

    Args:
        comparison: What was found.
        folder: Where to; it is made if need be.
        commands: What to type to get this study again, told in the report; and if there is a `study.yaml` in the
            folder, the report tells it too.

    Returns:
        The files: `report`, `histories`, and `<figure>.svg`, `<figure>.png` of each figure.

    Raises:
        StorageError: A file can't be written.
    """
    folder = Path(folder)
    with storage_errors(folder):
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    planned = list(_planned(comparison))
    with figure_style():
        do_all([partial(_write_figure, one, folder / FIGURES) for one in planned])
    files: dict[str, Path] = {"report": folder / REPORT, "histories": folder / HISTORIES}
    for one in planned:
        files.update({f"{one.name}.{suffix}": folder / FIGURES / f"{one.name}.{suffix}" for suffix in ("svg", "png")})
    drawings = [Drawing(one.name, one.about, read_bytes(files[f"{one.name}.svg"])) for one in planned]
    write_atomically(files["histories"], histories_csv(comparison).encode("utf-8", "replace"))
    study = read_bytes(folder / STUDY).decode("utf-8", "replace") if (folder / STUDY).exists() else ""
    typed = commands or ([f"normlab compare {STUDY}"] if study else [])
    write_atomically(files["report"], page(comparison, drawings, typed, study))
    return files


class _Planned(NamedTuple):
    """A figure that is to be drawn."""

    name: str
    about: str
    figure: Callable[[], Figure]


def _planned(comparison: Comparison) -> Iterator[_Planned]:
    """All figures of a study."""
    split, baseline = comparison.question.split, comparison.question.baseline
    about = f"of each arm on {split}: the mean of its runs, in a band that spans them"
    yield _Planned("curves", f"Accuracy against steps {about}", partial(curves_figure, comparison, "step"))
    yield _Planned("seconds", f"Accuracy against seconds {about}", partial(curves_figure, comparison, "seconds"))
    about = f"Differences of accuracy to {baseline}, with intervals"
    yield _Planned("differences", about, partial(differences_figure, comparison))
    about = "Final accuracy of each arm against milliseconds of a training step"
    yield _Planned("cost", about, partial(cost_figure, comparison))
    for number, key in enumerate(swept(comparison)[:_MOST_SWEPT]):
        about = f"Accuracy on validation against {key}, of each arm"
        yield _Planned(f"sensitivity{number or ''}", about, partial(sensitivity_figure, comparison, key))


def _write_figure(planned: _Planned, folder: Path) -> None:
    for suffix, data in draw(planned.figure(), planned.about).items():
        write_atomically(folder / f"{planned.name}.{suffix}", data)


def histories_csv(comparison: Comparison) -> str:
    """All histories: a line an evaluation and split; what is missing is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", "seed", "split", "step", "epoch", "examples", "seconds", "accuracy", "loss"])
    writer.writerows(_lines(comparison))
    return text.getvalue()


def _lines(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    for row in comparison.rows:
        for run in row.arm.runs:
            for one in run:
                for split in run.splits:
                    at = (one.step, one.epoch, one.examples, one.seconds)
                    yield (row.label, run.seed, split, *at, one.accuracy[split], one.loss[split])
