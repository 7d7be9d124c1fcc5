"""What a person sees while a run trains: a line an evaluation, and in a terminal a progress bar below them."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import click

from normlab.cli.views import output
from normlab.experiment.observer import Observer

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from normlab.experiment.observer import Plan
    from normlab.runs.history import History, Record


def choose(*, quiet: bool, as_json: bool) -> View:
    """The view for where the output goes.

    Args:
        quiet: Show nothing.
        as_json: Standard output is for the result alone; progress goes to standard error, if that is a terminal.
    """
    if quiet:
        return View()
    stream = sys.stderr if as_json else sys.stdout
    if stream.isatty():
        from normlab.cli.views.live import LiveLines

        return LiveLines(stream)
    return Warnings() if as_json else Lines(stream)


def evaluation_line(record: Record, when: datetime) -> str:
    """One evaluation in words, e.g. `[2026-11-24 12:31:20] Step 20, train accuracy 0.8430, test accuracy 0.8531`."""
    accuracies = "".join(f", {split} accuracy {number(value)}" for split, value in record.accuracy.items())
    return f"[{when:%Y-%m-%d %H:%M:%S}] Step {record.step}{accuracies}"


def number(value: float | None) -> str:
    """An accuracy or loss with four digits; `missing` for one that was not finite."""
    return "missing" if value is None else f"{value:.4f}"


class View(Observer):
    """A view that shows nothing, not even warnings; used as a context around the run."""

    def finished(self, history: History) -> None:  # noqa: ARG002 - as Observer has it
        """The run ended; its plot comes next, for which no help texts of Matplotlib are needed."""
        from normlab.cli.brisk import import_matplotlib

        import_matplotlib()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the screen in order, however the run ended."""


class Warnings(View):
    """A view that shows warnings alone."""

    def warned(self, message: str) -> None:
        """Show a warning."""
        output.warn(message)


class Lines(Warnings):
    """Plain lines, for files and pipes.

    Args:
        stream: Where they go. Once nobody reads it any more, the run goes on without them.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.read = True

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

    def line(self, text: str) -> None:
        """Print a line."""
        if self.read:
            try:
                self.write(text)
            except BrokenPipeError:
                self.read = False
                output.discard(self.stream)

    def write(self, text: str) -> Any:
        """Print a line, wherever this view has its lines."""
        click.echo(text, file=self.stream)
