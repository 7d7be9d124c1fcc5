"""`normlab norms`: which methods there are, and what each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from normlab.cli import options, output
from normlab.cli.help import CONTEXT, WithExamples
from normlab.cli.lazy import SuggestingGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog import Catalog

EXAMPLES = (
    ("normlab norms", "all methods, built in and from plugins"),
    ("normlab norms show batch", "formula, paper, parameters"),
    ("normlab norms show my_norm --plugin my_norm.py", "a method of your own"),
    ("normlab norms --json | jq -r '.norms[].name'", "their names, for a program"),
)


@click.group(cls=SuggestingGroup, context_settings=CONTEXT, invoke_without_command=True, examples=EXAMPLES)
@options.plugins
@options.as_json("the list")
@options.debug
@click.pass_context
def norms(context: click.Context, plugins: tuple[str, ...], no_plugins: bool, as_json: bool) -> None:
    """List normalization methods, or show one.

    A plugin that can't be used is named on standard error, with the reason.
    """
    if context.invoked_subcommand is None:
        found = _catalog(plugins, no_plugins=no_plugins)
        if as_json:
            _print_list_as_json(found)
        else:
            _print_list(found)


@norms.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[1:3])
@click.argument("name")
@options.plugins
@options.as_json("the method")
@options.debug
@click.pass_context
def show(context: click.Context, name: str, plugins: tuple[str, ...], no_plugins: bool, as_json: bool) -> None:
    """Show formula, paper, parameters and origin of the method NAME."""
    from normlab.cli import card

    # the same options may stand before `show`
    before = context.parent.params if context.parent else {}
    found = _catalog((*before["plugins"], *plugins), no_plugins=no_plugins or before["no_plugins"])
    norm = found.norms.get(name)
    if as_json or before["as_json"]:
        output.print_json(card.as_dict(norm))
    else:
        click.echo("\n".join(card.card(norm)))


def _catalog(files: Sequence[str], *, no_plugins: bool) -> Catalog:
    from normlab.catalog import catalog

    found = catalog(files, third_party=not no_plugins)
    found.require_explicit()
    for record in found.plugins:
        if record.status not in {"ok", "disabled"}:
            output.warn(f"plugin {record.name}: {record.reason}")
    return found


def _print_list(found: Catalog) -> None:
    from normlab.cli.card import origin

    rows = [("name", "year", "acts by", "what", "from")]
    rows += [
        (norm.name, str(norm.year or ""), ", ".join(norm.ways), norm.summary, origin(norm))
        for norm in found.norms.entries.values()
    ]
    click.echo("\n".join(output.columns(rows, header=True)))
    click.echo("\nmore about one: normlab norms show NAME")


def _print_list_as_json(found: Catalog) -> None:
    from normlab.cli.card import as_dict

    output.print_json({"norms": [as_dict(norm) for norm in found.norms.entries.values()]})
