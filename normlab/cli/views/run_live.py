"""The view for a terminal: lines scroll above a bar with step, rate and time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from normlab.cli.views.run_view import RunLines

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Task

    from normlab.experiment.observer import Plan

#: Redrawing costs about 2 ms: at this rate it takes less than a hundredth of the time.
REDRAWS_PER_SECOND = 4


class RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.speed:.0f} steps/s" if task.speed else "- steps/s")


class RunProgress(RunLines):
    """Lines above a progress bar.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.progress = Progress(
            BarColumn(),
            TextColumn("step"),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(file=stream),
            refresh_per_second=REDRAWS_PER_SECOND,
            transient=True,
        )

    def started(self, plan: Plan) -> None:
        """Say what is trained, and show the bar."""
        super().started(plan)
        self.task = self.progress.add_task("", total=plan.steps, completed=plan.first_step)
        self.progress.start()

    def stepped(self, step: int) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=step)

    def write(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away and give the cursor back."""
        self.progress.stop()
