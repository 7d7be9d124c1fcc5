"""What commands print: aligned columns, JSON, warnings."""

from __future__ import annotations

import os
import sys
from itertools import repeat
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

#: Characters below which a column is not broken further.
_NARROWEST = 24


def columns(
    rows: Iterable[Sequence[str]], *, right: Sequence[int] = (), header: bool = False, wrap: bool = False
) -> list[str]:
    """Align cells into lines, two spaces between columns.

    Args:
        rows: Cells, the same number in every row.
        right: Indices of columns that are aligned to the right, as numbers are.
        header: Whether the first row names the columns; it is then made bold.
        wrap: Whether the last column is broken into lines that fit the terminal (80 characters without one).

    Returns:
        Lines without trailing spaces.
    """
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    if wrap:
        import shutil

        table = _wrapped(table, shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1))
    padded = [
        map(str.rjust if index in right else str.ljust, column, repeat(width))
        for index, (column, width) in enumerate(zip(zip(*table), widths))
    ]
    lines = [line.rstrip() for line in map("  ".join, zip(*padded))]
    if header and lines:
        lines[0] = click.style(lines[0], bold=True)
    return lines


def _wrapped(table: list[list[str]], width: int) -> list[list[str]]:
    import textwrap

    wrapper = textwrap.TextWrapper(max(width, _NARROWEST), break_long_words=False, break_on_hyphens=False)
    result = []
    for *cells, last in table:
        first, *rest = wrapper.wrap(last) or [""]
        result.append([*cells, first])
        result += [[*([""] * len(cells)), line] for line in rest]
    return result


def print_json(value: Any) -> None:
    """Print `value` as JSON: indented for a person at a terminal, one line for a program.

    Raises:
        ValueError: `value` holds NaN or infinity, for which JSON has no words.
    """
    import json

    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False))


def warn(message: str) -> None:
    """Print a warning on standard error."""
    click.echo(click.style("warning: ", fg="yellow") + message, err=True)


def nobody_reads() -> bool:
    """Whether the other end of standard output is closed, as after `| head`."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout, 0)  # errors and hang-ups are always reported
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):
        # standard output is no file of the system's, or closed
        return False


def discard(stream: TextIO) -> None:
    """Drop what an output still holds and gets, so that the interpreter does not complain when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        # it is no file of the system's, or closed: nothing is held back for it
        return
