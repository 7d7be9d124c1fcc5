"""`normlab check`: prove that methods keep the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.views import output
from normlab.errors import ExitStatus, PluginBroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog import Catalog
    from normlab.norms.contract import Norm

EXAMPLES = (
    ("normlab check my_norm.py", "the methods of a file of your own"),
    ("normlab check group rms", "methods by name"),
    ("normlab check --all --json", "everything that is installed, for a program"),
    ("normlab check group --only gradient_of_input", "one check alone"),
    ("normlab check sparse --xfail 'shows_nan=it compares'", "a failure that is meant, with the reason"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("methods", nargs=-1, metavar="[NAME|FILE.py]...")
@click.option("--all", "every", is_flag=True, help="Check every method that is installed.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; may be repeated.")
@click.option(
    "--xfail",
    "expected",
    multiple=True,
    metavar="CHECK=REASON",
    help="Expect this check to fail, and fail if it passes; may be repeated.",
)
@options.plugins
@options.as_json("the outcomes")
@options.debug
def check(
    methods: tuple[str, ...],
    every: bool,
    only: tuple[str, ...],
    expected: tuple[str, ...],
    plugins: tuple[str, ...],
    no_plugins: bool,
    as_json: bool,
) -> int:
    """Check that normalization methods satisfy the contract.

    Each check has a name and a meaning. The exit status is 4 if one fails, or passes that is expected to fail.
    """
    if bool(methods) == every:
        raise click.UsageError("name methods, or files with methods, or give --all")
    reasons = dict(_reason(text) for text in expected)
    files = [method for method in methods if method.endswith(".py")]
    found = _catalog((*plugins, *files), no_plugins=no_plugins)
    norms = list(found.norms.entries.values()) if every else _named(found, methods)
    from normlab.cli.views.check_view import examine, print_json, print_tables

    outcomes = examine(norms, only, reasons)
    if as_json:
        print_json(outcomes)
    else:
        print_tables(outcomes)
    good = all(outcome.good for each in outcomes.values() for outcome in each)
    return ExitStatus.DONE if good else ExitStatus.PLUGIN


def _reason(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not equals or not reason.strip():
        raise click.BadParameter(f"{text!r} has no reason; write --xfail '{name or 'CHECK'}=why it fails'")
    return name, reason.strip()


def _catalog(files: Sequence[str], *, no_plugins: bool) -> Catalog:
    from normlab.catalog import catalog

    found = catalog(files, third_party=not no_plugins)
    found.require_explicit()
    for line in found.warnings:
        output.warn(line)
    return found


def _named(found: Catalog, methods: Sequence[str]) -> list[Norm]:
    norms: dict[str, Norm] = {}
    for method in methods:
        of_file = _in_file(found, method) if method.endswith(".py") else [found.norms.get(method)]
        norms.update((norm.name, norm) for norm in of_file)
    return list(norms.values())


def _in_file(found: Catalog, file: str) -> list[Norm]:
    path = Path(file).resolve()
    norms = [norm for norm in found.norms.entries.values() if Path(norm.source.file).resolve() == path]
    if not norms:
        raise PluginBroken(f"{file}: registers no norm; expected a function normlab_norms with @hookimpl")
    return norms
