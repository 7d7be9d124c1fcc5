"""What a person sees of `normlab check`: a bar while it runs, then tables; and the same for a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from normlab.cli.views import output
from normlab.conformance.check import EXPECTED, PASSED, Outcome
from normlab.conformance.suite import check_norm, select_applicable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from normlab.norms.contract import Norm

Outcomes = dict[str, list[Outcome]]


def examine(norms: Sequence[Norm], only: Sequence[str], expected: Mapping[str, str]) -> Outcomes:
    """Run the checks, with a bar on standard error if that is a terminal.

    Args:
        norms: The methods.
        only: Names of checks; without any, all.
        expected: Failures that are expected of every one of them, with the reasons.

    Returns:
        The outcomes, by the methods' names.

    Raises:
        SpecError: A name is that of no check.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=sum(len(select_applicable(norm, only)) for norm in norms))

        def done(outcome: Outcome) -> None:
            progress.update(task, advance=1, description=outcome.norm)

        return {norm.name: check_norm(norm, only=only, expected_failures=expected, done=done) for norm in norms}


def print_json(outcomes: Outcomes) -> None:
    """Print all outcomes as one object."""
    output.print_json({"norms": [_as_dict(name, each) for name, each in outcomes.items()]})


def _as_dict(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "name": name,
        "good": all(outcome.good for outcome in outcomes),
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "outcomes": [
            {name: value for name, value in outcome._asdict().items() if name != "norm"} for outcome in outcomes
        ],
    }


def print_tables(outcomes: Outcomes) -> None:
    """Print every outcome of a single method; of several a line each, and what is not good."""
    console = Console(highlight=False)
    several = len(outcomes) > 1
    for each in outcomes.values():
        shown = [outcome for outcome in each if not (several and outcome.good)]
        if shown:
            console.print(_table(shown, with_norm=several))
    for name, each in outcomes.items():
        console.print(_line(name, each))


def _table(outcomes: Sequence[Outcome], *, with_norm: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=outcomes[0].norm if with_norm else None,
        title_style="bold",
        title_justify="left",
    )
    table.add_column("check", no_wrap=True)
    table.add_column("result")
    table.add_column("what it asks; why it failed")
    for outcome in outcomes:
        style = "green" if outcome.result == PASSED else "yellow" if outcome.result == EXPECTED else "red"
        words = Text().append(outcome.meaning, style="" if outcome.result == PASSED else "dim")
        if outcome.why:
            words.append(f"\n{outcome.why}", style=style)
        table.add_row(Text(outcome.check), Text(outcome.result, style=style), words)
    return table


def _line(name: str, outcomes: Sequence[Outcome]) -> Text:
    counts = [f"{sum(outcome.result == PASSED for outcome in outcomes)} passed"]
    others = dict.fromkeys(outcome.result for outcome in outcomes if outcome.result != PASSED)
    counts += [f"{sum(outcome.result == result for outcome in outcomes)} {result}" for result in others]
    good = all(outcome.good for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    line = Text(f"{name}: ")
    line.append(", ".join(counts), style="green" if good else "red")
    return line.append(f" in {seconds:.1f} seconds")
