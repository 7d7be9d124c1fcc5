"""The view of a study for a terminal: a table with one row an arm, which is redrawn in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from normlab.cli.views.study_view import Progress, StudyView, describe, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from normlab.runs.history import History
    from normlab.study.design.arms import Trial
    from normlab.study.execution.jobs import Job

REDRAWS_PER_SECOND = 4
_BAR = 16


class StudyTable(StudyView):
    """One row an arm: a bar, runs done, what runs now, mean accuracy so far.

    Args:
        split: The split of the accuracies shown.
        stream: The terminal.
    """

    def __init__(self, split: str, stream: TextIO) -> None:
        self.split = split
        self.rows: dict[str, Progress] = {}
        self.console = Console(file=stream)
        self.live = Live(
            console=self.console, refresh_per_second=REDRAWS_PER_SECOND, transient=True, get_renderable=self.table
        )

    def planned(self, arms: Iterable[str], runs: int) -> None:
        """Show the table."""
        self.rows = {label: Progress(label, runs) for label in arms}
        self.live.start()

    def running(self, label: str, job: Job, step: int, steps: int) -> None:
        """Move a run on."""
        self.rows[label].running[job] = (step, steps)

    def ended(self, label: str, job: Job, history: History, *, trained: bool) -> None:  # noqa: ARG002 - as told
        """Count a run."""
        row = self.rows[label]
        row.running.pop(job, None)
        row.done += 1
        diverged = history.result is not None and history.result.status == "diverged"
        if job.phase == "final":
            row.diverged += diverged
            accuracy = history.final().get(f"{self.split}_accuracy")
            row.accuracies += [] if accuracy is None else [accuracy]
            if diverged:
                self.line(f"{describe(label, job)}: {outcome(job, history, self.split)}")

    def failed(self, label: str, job: Job, message: str) -> None:
        """Show a failure above the table, when it happens."""
        row = self.rows[label]
        row.running.pop(job, None)
        row.failures += 1
        self.line(f"failed: {describe(label, job)}: {message}", "red")

    def chosen(self, label: str, trial: Trial) -> None:
        """Show what tuning has chosen."""
        words = [f"{key.rsplit('.', 1)[-1]} {value}" for key, value in trial.settings.items()]
        self.rows[label].chosen = ", ".join(words)

    def retried(self, label: str, job: Job, message: str) -> None:
        """Show the loss of a worker above the table."""
        self.rows[label].running.pop(job, None)
        self.line(f"warning: {describe(label, job)}: {message}", "yellow")

    def waiting(self, label: str, job: Job, message: str) -> None:
        """Show above the table what is waited for."""
        self.line(f"waiting: {describe(label, job)}: {message}")

    def line(self, text: str, style: str = "") -> None:
        """Print a line above the table."""
        self.console.print(Text(text, style), soft_wrap=True)

    def table(self) -> Table:
        """The table as it is now."""
        table = Table(box=None, pad_edge=False)
        tuned = any(row.chosen for row in self.rows.values())
        columns = ["arm", "", "runs", "running", f"mean {self.split}", "diverged", "failed"]
        for name in [*columns, *(["chosen"] if tuned else [])]:
            table.add_column(name, justify="right" if name in columns[4:] else "left", no_wrap=True)
        # the table is drawn by a thread of its own
        for row in list(self.rows.values()):
            cells = [row.label, _bar(row), f"{row.done}/{row.total}", _running(row), _number(row.mean)]
            cells += [str(row.diverged or ""), str(row.failures or ""), *([row.chosen] if tuned else [])]
            table.add_row(*(Text(cell) for cell in cells))
        return table

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the table away and give the cursor back."""
        self.live.stop()


def _bar(row: Progress) -> str:
    """A bar of the runs done, and of the parts of those that run."""
    begun = sum(step / steps for step, steps in list(row.running.values()) if steps)
    full = int(_BAR * (row.done + row.failures + begun) / max(1, row.total))
    return "━" * full + "╌" * (_BAR - full)


def _running(row: Progress) -> str:
    return ", ".join(
        f"{'trial' if job.phase == 'trial' else f'seed {job.seed}'} step {step}/{steps}"
        for job, (step, steps) in list(row.running.items())
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
