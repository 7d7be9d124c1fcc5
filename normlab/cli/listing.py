"""What commands that list have in common: the catalogue with the plugins that a person asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.cli.views import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog import Catalog


def known(files: Sequence[str], *, no_plugins: bool) -> Catalog:
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
