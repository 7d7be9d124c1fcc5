"""From run directories to the arms of a study that nobody planned: one a norm, if they may be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import NotComparable, StorageError
from normlab.runs.history import HISTORY, RESULT, History
from normlab.study.analysis.gate import gate
from normlab.study.design.arms import Arm, Question

#: Folders above runs that are looked through: `runs/`, then the names of experiments.
_DEPTH = 2


def gathered(
    paths: Sequence[Path],
    *,
    allowed: Sequence[str] = (),
    baseline: str | None = None,
    split: str | None = None,
    **asked: Any,
) -> tuple[Question, list[Arm], list[str]]:
    """Load runs, and make an arm of each norm.

    Args:
        paths: Directories of runs, or folders that hold some.
        allowed: Keys in which they may differ beside norm and seed.
        baseline: The label of the baseline; by default `none`, else the first.
        split: The split that counts; by default `test`, else `validation`, else `train`.
        **asked: Further fields of the `Question`.

    Returns:
        The question, the arms in the order of their labels, and what the report should warn of.

    Raises:
        NotComparable: The runs differ in more than norm and seed.
        StorageError: There is no run, or one is damaged or unfinished.
    """
    runs, told = _loaded(paths)
    told += gate(runs, ("norm",), allowed)
    arms = _arms(runs)
    labels = [arm.label for arm in arms]
    question = Question(
        name=", ".join(dict.fromkeys(run.name for run in runs)),
        baseline=baseline or ("none" if "none" in labels else labels[0]),
        seeds=tuple(sorted({run.seed for run in runs})),
        split=split or _split(runs),
        allowed=tuple(allowed),
        **asked,
    )
    return question, arms, told


def _loaded(paths: Sequence[Path]) -> tuple[list[History], list[str]]:
    """All runs that ended, and a warning about those that did not."""
    found = {directory.resolve(): directory for path in paths for directory in _directories(path, _DEPTH)}
    runs: list[History] = []
    unfinished: list[History] = []
    for directory in found.values():
        run = History.load(directory)
        ended = run.result is not None and run.result.is_last
        (runs if ended else unfinished).append(run)
    if not runs:
        named = ", ".join(str(path) for path in paths)
        raise StorageError(f"{named}: no run that ended; expected directories with {HISTORY} and {RESULT} in them")
    told = (
        [f"left out, since they have not ended: {', '.join(str(run.directory) for run in unfinished)}"]
        if unfinished
        else []
    )
    return runs, told


def _directories(path: Path, depth: int) -> Iterator[Path]:
    if not path.is_dir():
        raise StorageError(f"{path}: no such folder; expected the directory of a run, or a folder that holds some")
    if (path / HISTORY).exists():
        yield path
    elif depth:
        for inner in sorted(path.iterdir()):
            if inner.is_dir():
                yield from _directories(inner, depth - 1)


def _arms(runs: Sequence[History]) -> list[Arm]:
    by_label: dict[str, list[History]] = {}
    for run in runs:
        by_label.setdefault(run.label, []).append(run)
    return [
        Arm(label, {"norm": label}, {}, tuple(sorted(of_label, key=lambda run: run.seed)))
        for label, of_label in sorted(by_label.items())
    ]


def _split(runs: Sequence[History]) -> str:
    common = [split for split in ("test", "validation", "train") if all(split in run.splits for run in runs)]
    if not common:
        raise NotComparable("the runs have no split in common; expected one that all were evaluated on")
    return common[0]
