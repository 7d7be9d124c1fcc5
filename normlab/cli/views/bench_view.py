"""What a person sees of `normlab bench`: a bar while it measures, then tables; and the same for a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from normlab.backend.mxnet import threads
from normlab.cli.views import output
from normlab.conformance.cost import MEMORY, SHAPES, Cost, count_ticks, measure_costs
from normlab.conformance.cost_subjects import LAYOUTS
from normlab.runs.environment import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.conformance.cost_subjects import MethodToMeasure

_HEADER = ("method", "acts by", "parameters", "state", "forward ms", "backward ms", "memory MB", "x operator")
_NUMBERS = range(2, len(_HEADER))
_MEGABYTE = 1e6


class ShapeCosts(NamedTuple):
    """The costs of all methods at one shape.

    Attributes:
        name: Where in networks such a shape is found, or "".
        shape: The shape.
        costs: The costs, those of MXNet's operator first.
    """

    name: str
    shape: tuple[int, ...]
    costs: list[Cost]


def measure(asked: Sequence[MethodToMeasure], shapes: Sequence[tuple[int, ...]], rounds: int) -> list[ShapeCosts]:
    """Measure, with a bar on standard error if that is a terminal.

    Args:
        asked: The methods.
        shapes: The shapes; without any, the usual ones.
        rounds: How often each is measured.
    """
    names = {shape: name for name, shape in SHAPES.items()}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    wanted = list(dict.fromkeys(shapes or SHAPES.values()))
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=len(wanted) * count_ticks(asked, rounds))

        def at(shape: tuple[int, ...]) -> ShapeCosts:
            progress.update(task, description=str(shape))
            measured = measure_costs(asked, shape, rounds, done=lambda: progress.advance(task))
            return ShapeCosts(names.get(shape, ""), shape, measured)

        return [at(shape) for shape in wanted]


def print_json(tables: Sequence[ShapeCosts], rounds: int) -> None:
    """Print all figures as one object, with what they were measured on."""
    output.print_json(
        {
            "rounds": rounds,
            "dtype": "float32",
            "memory": MEMORY,
            "environment": environment(["cpu(0)"], []),
            "shapes": [_as_dict(table) for table in tables],
        }
    )


def _as_dict(table: ShapeCosts) -> dict[str, Any]:
    return {
        "name": table.name,
        "shape": list(table.shape),
        "layout": LAYOUTS[len(table.shape)],
        "costs": [cost._asdict() for cost in table.costs],
    }


def print_tables(tables: Sequence[ShapeCosts], rounds: int) -> None:
    """Print a table a shape: drawn for a terminal, else in plain columns."""
    for table in tables:
        click.echo(_title(table, rounds))
        rows = [_cells(cost) for cost in table.costs if cost.ratio is not None]
        if sys.stdout.isatty():
            Console(highlight=False).print(_drawn(rows))
        else:
            click.echo("\n".join(output.columns([_HEADER, *rows], right=_NUMBERS)))
        notes = [f"{cost.norm} ({cost.way}): {cost.note}" for cost in table.costs if cost.note]
        click.echo("\n".join([*notes, ""]))
    click.echo(f"memory: {MEMORY}")


def _title(table: ShapeCosts, rounds: int) -> str:
    place = f", {table.name}" if table.name else ""
    shape = f"{LAYOUTS[len(table.shape)]} {table.shape}{place}"
    return f"{shape}: float32, threads {threads()}, median of {rounds} round{'s' * (rounds > 1)}"


def _cells(cost: Cost) -> tuple[str, ...]:
    times = [_number(value, "{:.2f}") for value in (cost.forward_ms, cost.backward_ms)]
    memory = _number(None if cost.memory is None else cost.memory / _MEGABYTE, "{:.2f}")
    counts = (f"{count:,}" for count in (cost.parameters, cost.state))
    return (cost.norm, cost.way, *counts, *times, memory, _number(cost.ratio, "{:.2f}"))


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _drawn(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(_HEADER):
        table.add_column(name, justify="right" if index in _NUMBERS else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
