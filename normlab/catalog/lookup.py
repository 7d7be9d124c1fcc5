"""The catalogue: every norm, network and data set by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from normlab.catalog import hookspecs
from normlab.catalog.discovery import discover
from normlab.catalog.fitness import KINDS
from normlab.catalog.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog.entries import DataSource, Model
    from normlab.catalog.record import PluginRecord
    from normlab.norms.contract import Norm


class _Hooks:
    """A plugin as pluggy gets it: its hooks alone; to look at all else in a module takes as long as to import it."""

    def __init__(self, record: PluginRecord) -> None:
        vars(self).update({hook: getattr(record.module, hook) for hook in record.hooks})

    def __dir__(self) -> list[str]:
        return list(vars(self))


class Catalog:
    """Everything that specs can name.

    Attributes:
        norms: Normalization methods.
        models: Networks.
        datasets: Data sets.
        plugins: A record for each plugin module, usable or not.
        pluggy: The plugin manager, which holds the usable ones.
    """

    def __init__(self, records: Sequence[PluginRecord]) -> None:
        self.plugins: list[PluginRecord] = list(records)
        self.norms: Shelf[Norm] = Shelf(KINDS[0], self.plugins)
        self.models: Shelf[Model] = Shelf(KINDS[1], self.plugins)
        self.datasets: Shelf[DataSource] = Shelf(KINDS[2], self.plugins)
        shelves: tuple[Shelf[Any], ...] = (self.norms, self.models, self.datasets)
        self._shelves = {kind.hook: shelf for kind, shelf in zip(KINDS, shelves)}
        self.pluggy = pluggy.PluginManager("normlab")
        self.pluggy.add_hookspecs(hookspecs)
        for index, record in enumerate(self.plugins):
            if record.status == "ok":
                self.plugins[index] = self._taken(record)

    @property
    def warnings(self) -> list[str]:
        """One line for each plugin that can't be used, though nobody asked for it by name."""
        return [record.told for record in self.plugins if record.unusable and not record.explicit]

    def require_explicit(self) -> None:
        """Refuse to go on if a plugin that the person named can't be used.

        Raises:
            PluginError: With one line a plugin.
        """
        bad = [record for record in self.plugins if record.unusable and record.explicit]
        if bad:
            raise bad[0].error("\n".join(record.told for record in bad))

    def _taken(self, record: PluginRecord) -> PluginRecord:
        """Take up all that a plugin brings, or nothing."""
        for hook, names in record.brings.items():
            for refused in filter(None, [self._shelves[hook].refuse(name, record) for name in names]):
                return record.failed("duplicate", refused)
        self.pluggy.register(_Hooks(record), record.name)
        for hook, entries in record.entries.items():
            for entry in entries:
                self._shelves[hook].add(entry, record)
        return record


def catalog(files: Sequence[str] = (), *, third_party: bool = True) -> Catalog:
    """Discover all plugins and build the catalogue.

    Args:
        files: Plugin files that a spec or the command line names.
        third_party: False to leave out plugins of other distributions.

    Returns:
        The catalogue; plugins that can't be used are in `catalog.plugins` with their reasons.
    """
    return Catalog(discover(files, third_party=third_party))
