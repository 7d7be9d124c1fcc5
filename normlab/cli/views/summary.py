"""What a finished run comes to: a short table for a person, one object for a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.cli.views import output
from normlab.cli.views.view import number

if TYPE_CHECKING:
    from normlab.runs.history import History, Result

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
