"""What commands that list have in common: the catalogue with the plugins that a person asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, TypeVar

import click

from normlab.cli.views import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog import Catalog


def open_catalog(files: Sequence[str], *, no_plugins: bool) -> Catalog:
    """The catalogue; a plugin that can't be used is named on standard error, with the reason.

    Args:
        files: Plugin files that the person named.
        no_plugins: Whether installed plugins are left out.

    Raises:
        PluginError: One of the files can't be used.
    """
    from normlab.catalog import catalog

    found = catalog(files, third_party=not no_plugins)
    found.require_explicit()
    for record in found.plugins:
        if record.unusable:
            output.warn(f"plugin {record.name}: {record.reason}")
    return found


Function = TypeVar("Function", bound=Callable[..., object])


def debug(function: Function) -> Function:
    """Add `--debug`; it acts in `normlab.cli.process`, whatever the command, so the command doesn't get it."""
    option = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    return option(function)


def as_json(what: str) -> Callable[[Function], Function]:
    """Add `--json`, which the command gets as `as_json`.

    Args:
        what: What is printed, for the help.
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON only.")


def plugins(function: Function) -> Function:
    """Add `--plugin` and `--no-plugins`, which the command gets as `plugins` and `no_plugins`."""
    several = click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        help="Load a plugin from this Python file; may be repeated.",
    )
    none = click.option("--no-plugins", is_flag=True, help="Load only built-in parts, no plugins.")
    return several(none(function))
