"""`normlab norms`: which methods there are, and what each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from normlab.cli import norm_filters, options
from normlab.cli.app import CONTEXT, SuggestingGroup, WithExamples
from normlab.cli.options import open_catalog
from normlab.cli.views import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.norms.contract import Norm

EXAMPLES = (
    ("normlab norms", "all methods, built in and from plugins"),
    ("normlab norms show batch", "formula, paper, parameters"),
    ("normlab norms show group --spec > group.yaml", "a commented spec to begin with"),
    ("normlab norms show my_norm --plugin my_norm.py", "a method of your own"),
    ("normlab norms --depends-on-batch no --layout NC", "those that treat each example of a table on its own"),
    ("normlab norms --cite > norms.bib", "their papers, as BibTeX"),
    ("normlab norms --json | jq -r '.norms[].name'", "their names, for a program"),
)


@click.group(cls=SuggestingGroup, context_settings=CONTEXT, invoke_without_command=True, examples=EXAMPLES)
@norm_filters.options
@click.option("--cite", is_flag=True, help="Print their papers as BibTeX only.")
@options.plugins
@options.as_json("the list")
@options.debug
@click.pass_context
def norms(
    context: click.Context,
    family: tuple[str, ...],
    way: tuple[str, ...],
    batch: str | None,
    state: str | None,
    layout: tuple[str, ...],
    year: norm_filters.Years | None,
    cite: bool,
    plugins: tuple[str, ...],
    no_plugins: bool,
    as_json: bool,
) -> None:
    """List normalization methods, or show one.

    Several filters are combined. A plugin that can't be used is named on standard error, with the reason.
    """
    if context.invoked_subcommand is not None:
        return
    wanted = norm_filters.Filter(family, way, norm_filters.switched(batch), norm_filters.switched(state), layout, year)
    found = wanted.of(open_catalog(plugins, no_plugins=no_plugins).norms.entries.values())
    if cite:
        _print_citations(found)
    elif as_json:
        _print_list_as_json(found)
    else:
        _print_list(found)


@norms.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[1:4])
@click.argument("name")
@click.option("--cite", is_flag=True, help="Print its paper as BibTeX, and nothing else.")
@click.option("--spec", is_flag=True, help="Print a commented spec that trains with it, and nothing else.")
@options.plugins
@options.as_json("the method")
@options.debug
@click.pass_context
def show(
    context: click.Context,
    name: str,
    cite: bool,
    spec: bool,
    plugins: tuple[str, ...],
    no_plugins: bool,
    as_json: bool,
) -> None:
    """Show formula, paper, parameters and origin of the method NAME."""
    from normlab.cli.norm_spec import starter
    from normlab.cli.views import norm_details as card

    # the same options may stand before `show`
    before = context.parent.params if context.parent else {}
    found = open_catalog((*before["plugins"], *plugins), no_plugins=no_plugins or before["no_plugins"])
    norm = found.norms.get(name)
    if cite or before["cite"]:
        _print_citations([norm])
    elif spec:
        click.echo(starter(norm), nl=False)
    elif as_json or before["as_json"]:
        output.print_json(card.as_dict(norm))
    else:
        click.echo("\n".join(card.card(norm)))


def _print_list(found: Sequence[Norm]) -> None:
    from normlab.cli.views.norm_details import origin

    rows = [("name", "year", "acts by", "what", "from")]
    rows += [(norm.name, str(norm.year or ""), ", ".join(norm.ways), norm.summary, origin(norm)) for norm in found]
    if not found:
        click.echo("no method is like that; fewer options, more methods: normlab norms")
        return
    click.echo("\n".join(output.columns(rows, header=True)))
    click.echo("\nmore about one: normlab norms show NAME")


def _print_list_as_json(found: Sequence[Norm]) -> None:
    from normlab.cli.views.norm_details import as_dict

    output.print_json({"norms": [as_dict(norm) for norm in found]})


def _print_citations(found: Sequence[Norm]) -> None:
    from normlab.cli.views.norm_details import bibliography

    click.echo(bibliography(found))
