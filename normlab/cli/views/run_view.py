"""What a person sees while a run trains: a line an evaluation, and in a terminal a progress bar below them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.cli.views import output
from normlab.cli.views.base import Lines, View
from normlab.experiment.observer import Observer

if TYPE_CHECKING:
    from normlab.experiment.observer import Plan
    from normlab.runs.history import History, Record, Result


def evaluation_line(record: Record, when: datetime) -> str:
    """One evaluation in words, e.g. `[2026-11-24 12:31:20] Step 20, train accuracy 0.8430, test accuracy 0.8531`."""
    accuracies = "".join(f", {split} accuracy {number(value)}" for split, value in record.accuracy.items())
    return f"[{when:%Y-%m-%d %H:%M:%S}] Step {record.step}{accuracies}"


def number(value: float | None) -> str:
    """An accuracy or loss with four digits; `missing` for one that was not finite."""
    return "missing" if value is None else f"{value:.4f}"


class RunView(View, Observer):
    """A view that shows nothing, not even warnings."""

    def finished(self, history: History) -> None:  # noqa: ARG002 - Observer's signature
        """Prepare the plot, which comes next."""
        from normlab.cli.startup import import_matplotlib

        import_matplotlib()


class RunWarnings(RunView):
    """A view that shows warnings only."""

    def warned(self, message: str) -> None:
        """Show a warning."""
        output.warn(message)


class RunLines(Lines, RunWarnings):
    """A line for each evaluation, for files and pipes."""

    def started(self, plan: Plan) -> None:
        """Say what is trained, where, and for how long."""
        where = ", ".join(map(str, plan.devices))
        self.line(f"{plan.name}: norm {plan.label}, seed {plan.seed}, {plan.steps} steps on {where}")
        if plan.first_step:
            self.line(f"resuming at step {plan.first_step}: {plan.directory}")

    def reused(self, history: History) -> None:
        """Say that this run was done before."""
        self.line(f"this run is stored already: {history.directory}; --again trains it once more")

    def evaluated(self, record: Record) -> None:
        """Show the accuracies of an evaluation."""
        self.line(evaluation_line(record, datetime.now()))  # noqa: DTZ005 - a person reads the clock on the wall


#: The files of a run directory that a person looks for, with what they are.
FILES = {
    "history": "history.jsonl",
    "plot": "accuracy.svg",
    "result": "result.json",
    "spec": "spec.yaml",
    "environment": "environment.json",
    "checkpoint": "checkpoint",
}


def paths(directory: str | Path | None) -> dict[str, str]:
    """The files of a run that exist, by what they are."""
    if directory is None:
        return {}
    found = {what: Path(directory) / name for what, name in FILES.items()}
    return {what: str(path) for what, path in found.items() if path.exists()}


def lines(history: History, result: Result) -> list[str]:
    """The end of a run for a person: accuracies and losses, seconds, paths."""
    verb = f"{result.status} after {result.steps} steps"
    times = f"training {result.training_seconds:.2f}, evaluation {result.evaluation_seconds:.2f}"
    table = output.columns(_scores(history, result), right=(1, 2, 3, 4), header=True)
    written = output.columns(paths(history.directory).items())
    return ["", *table, "", f"{verb}: {result.seconds:.2f} seconds ({times})", "", *written]


def _scores(history: History, result: Result) -> list[list[str]]:
    rows = [["", "accuracy", "best", "at step", "loss"]]
    for split in history.splits:
        best = result.best[split]
        rows.append(
            [
                split,
                number(result.final.get(f"{split}_accuracy")),
                number(best["accuracy"]),
                "-" if best["step"] is None else str(best["step"]),
                number(result.final.get(f"{split}_loss")),
            ]
        )
    return rows


def as_dict(history: History, result: Result) -> dict[str, Any]:
    """The end of a run for a program: all of `result.json`, where it lies, and the whole history.

    `history` is a list of records: `step, epoch, examples, seconds` and, for each split, `<split>_accuracy` and
    `<split>_loss` (null if not finite).
    """
    return {
        "name": history.name,
        "norm": history.label,
        "seed": history.seed,
        **result.as_dict(),
        "directory": str(history.directory),
        "paths": paths(history.directory),
        "history": [record.as_dict() for record in history],
    }
