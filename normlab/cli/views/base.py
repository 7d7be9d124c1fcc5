"""What the views of a run and of a study share: a context around it, lines on a stream, and the choice of a view."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TextIO, TypeVar

import click

from normlab.cli.views import output

if TYPE_CHECKING:
    from typing_extensions import Self

V = TypeVar("V", bound="View")


class View:
    """A view, used as a context around what it shows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the screen, however the run ended."""


class Lines(View):
    """A view of plain lines.

    Args:
        stream: Where they go. Once nobody reads it, lines are dropped and the run continues.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.read = True

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


def choose(
    *,
    quiet: bool,
    as_json: bool,
    silent: Callable[[], V],
    brief: Callable[[], V],
    lines: Callable[[TextIO], V],
    live: Callable[[TextIO], V],
) -> V:
    """Make the view that suits the output.

    Args:
        quiet: Show nothing but failures.
        as_json: Standard output is for the result alone; progress goes to standard error, if that is a terminal.
        silent: Makes the view of `quiet`.
        brief: Makes a view that leaves standard output alone.
        lines: Makes a view for a file or pipe.
        live: Makes a view for a terminal.
    """
    if quiet:
        return silent()
    stream = sys.stderr if as_json else sys.stdout
    if stream.isatty():
        return live(stream)
    return brief() if as_json else lines(stream)
