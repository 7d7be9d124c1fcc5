"""What a person sees while a study runs: a line a run, or in a terminal a table with one row an arm."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, TextIO

import click

from normlab.cli.views import output
from normlab.cli.views.base import Lines, View
from normlab.study.execution.jobs import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from normlab.runs.history import History
    from normlab.study.design.arms import Trial
    from normlab.study.execution.jobs import Job


class StudyView(View, Watcher):
    """A view that shows failures only. Warnings are shown once, with the result of the study."""

    def failed(self, label: str, job: Job, message: str) -> None:
        """Say so when it happens."""
        click.echo(f"failed: {describe(label, job)}: {message}", err=True)


class StudyWarnings(StudyView):
    """A view that shows lost workers and runs of other processes too."""

    def retried(self, label: str, job: Job, message: str) -> None:
        """Say so when it happens."""
        output.warn(f"{describe(label, job)}: {message}")

    def waiting(self, label: str, job: Job, message: str) -> None:
        """Say what is waited for."""
        click.echo(f"waiting: {describe(label, job)}: {message}", err=True)


class StudyLines(Lines, StudyWarnings):
    """Plain lines, for files and pipes.

    Args:
        split: The split of the accuracies shown.
        stream: Where they go.
    """

    def __init__(self, split: str, stream: TextIO) -> None:
        super().__init__(stream)
        self.split = split
        self.total, self.done = 0, 0

    def planned(self, arms: Iterable[str], runs: int) -> None:
        """Say what is compared."""
        labels = list(arms)
        self.total = runs * len(labels)
        self.line(f"{len(labels)} arms, {runs} runs each: {', '.join(labels)}")

    def ended(self, label: str, job: Job, history: History, *, trained: bool) -> None:
        """Show how a run ended."""
        self.done += 1
        found = "" if trained else ", stored already"
        self.line(f"[{self.done}/{self.total}] {describe(label, job)}: {outcome(job, history, self.split)}{found}")

    def chosen(self, label: str, trial: Trial) -> None:
        """Show what tuning has chosen."""
        settings = ", ".join(f"{key} {value}" for key, value in trial.settings.items())
        self.line(f"{label}: chosen {settings} (validation accuracy {trial.score:.4f})")


@dataclass
class Progress:
    """How far an arm is.

    Attributes:
        label: The arm.
        total: Its runs.
        done: Those that ended.
        failures: Those that failed.
        diverged: Final runs that diverged.
        running: What runs now, with its step and steps in all.
        accuracies: Final accuracies so far.
        chosen: What tuning has chosen, in words.
    """

    label: str
    total: int
    done: int = 0
    failures: int = 0
    diverged: int = 0
    running: dict[Any, tuple[int, int]] = field(default_factory=dict)
    accuracies: list[float] = field(default_factory=list)
    chosen: str = ""

    @property
    def mean(self) -> float | None:
        """Mean final accuracy so far."""
        return fmean(self.accuracies) if self.accuracies else None


def describe(label: str, job: Job) -> str:
    """A run in words."""
    if job.phase == "final":
        return f"{label}, seed {job.seed}"
    settings = ", ".join(f"{key} {value}" for key, value in job.settings.items())
    return f"{label}, trial of {settings}"


def outcome(job: Job, history: History, split: str) -> str:
    """How a run ended, in words."""
    if history.result is not None and history.result.status == "diverged":
        return f"diverged at step {history.result.diverged_step}, {history.result.diverged_layer}"
    where = "validation" if job.phase == "trial" else split
    accuracy = history.final().get(f"{where}_accuracy")
    return f"{where} accuracy {'missing' if accuracy is None else f'{accuracy:.4f}'}"
