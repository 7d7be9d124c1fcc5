"""The catalogue: look up norms, networks and data sets by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import pluggy

from normlab.catalog import hookspecs
from normlab.catalog.discovery import discover
from normlab.catalog.hookspecs import DataSource, Model
from normlab.catalog.plugin_record import PluginRecord
from normlab.catalog.validation import KINDS, Kind
from normlab.errors import NormlabError, PluginBroken, PluginDuplicate, SpecError, nearest, suggestion
from normlab.norms.contract import Norm

Entry = TypeVar("Entry", Norm, Model, DataSource)

#: Maximum number of plugins that an error names.
_MOST = 3


class Shelf(Generic[Entry]):
    """The entries of one kind, by name.

    Attributes:
        entries: The entries, by name.
    """

    def __init__(self, kind: Kind, plugins: Sequence[PluginRecord]) -> None:
        self._kind = kind
        self._plugins = plugins
        self._owners: dict[str, PluginRecord] = {}
        self._contested: dict[str, PluginRecord] = {}
        self.entries: dict[str, Entry] = {}

    def get(self, name: str) -> Entry:
        """Return the entry with a name.

        Raises:
            SpecError: There is no such entry.
            PluginError: The entry belongs to a plugin that can't be used. Also raised if there is a plugin whose
                source can't be read, which may therefore contain the entry, and no known name is similar.
            PluginDuplicate: Two plugins of other distributions register this name.
        """
        if name in self._contested:
            both = f"{self._owners[name].origin} and {self._contested[name].origin}"
            raise PluginDuplicate(
                f"{self._kind.word} {name!r} is registered by two plugins, {both}; "
                "uninstall one, or list the plugins to load in NORMLAB_PLUGINS"
            )
        if name in self.entries:
            return self.entries[name]
        raise self._error(name)

    def refuse(self, name: str, record: PluginRecord) -> str:
        """Return why a plugin can't register this name, or ""."""
        owner = self._owners.get(name)
        if owner is None:
            return ""
        taken = f"{self._kind.word} {name!r} is taken by {owner.origin}{f' ({owner.file})' * bool(owner.distribution)}"
        if owner.distribution == "normlab":
            return f"{taken} and can't be replaced; rename it"
        if not record.explicit:
            self._contested[name] = record
        return f"{taken}; rename it, or disable the other in NORMLAB_PLUGINS"

    def add(self, entry: Any, record: PluginRecord) -> None:
        """Add an entry whose name is free."""
        self.entries[entry.name] = entry
        self._owners[entry.name] = record

    def _error(self, name: str) -> NormlabError:
        unusable = [record for record in self._plugins if record.unusable]
        for record in unusable:
            if self._may_provide(name, record):
                return record.error(f"{self._kind.word} {name!r} can't be used; {record.told}")
        unknown = f"unknown {self._kind.word} {name!r}"
        closed = [record for record in unusable if not _source_files(record)]
        if closed and not nearest(name, self.entries):
            told = "\n".join(record.told for record in closed[:_MOST])
            return PluginBroken(f"{unknown}; these plugins can't be used and may provide it:\n{told}")
        off = sum(record.status == "disabled" for record in self._plugins)
        hint = f"; {off} plugin{'s are' if off > 1 else ' is'} disabled" if off else ""
        return SpecError(f"{unknown}{suggestion(name, self.entries)}{hint}; `{self._kind.listing}` lists them")

    def _may_provide(self, name: str, record: PluginRecord) -> bool:
        """Return whether an unusable plugin probably registers this name, judging by its entries or its source."""
        if record.brings:
            return name in record.brings.get(self._kind.hook, ())
        quoted = re.compile(rf"""(["']){re.escape(name)}\1""")
        return any(quoted.search(file.read_text(encoding="utf-8", errors="replace")) for file in _source_files(record))


def _source_files(record: PluginRecord) -> list[Path]:
    """Return the source files of a plugin: its own file, or all files of its package."""
    file = Path(record.file)
    if file.suffix != ".py" or not file.is_file():
        return []
    return sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]


class _Hooks:
    """The hooks of a plugin without its other names, which pluggy would take as long to inspect as Python to import."""

    def __init__(self, record: PluginRecord) -> None:
        vars(self).update({hook: getattr(record.module, hook) for hook in record.hooks})

    def __dir__(self) -> list[str]:
        return list(vars(self))


class Catalog:
    """All parts that specs can name.

    Attributes:
        norms: Normalization methods.
        models: Networks.
        datasets: Data sets.
        plugins: A record for each plugin module, usable or not.
        pluggy: The plugin manager, with the usable plugins.
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
                self.plugins[index] = self._register(record)

    @property
    def warnings(self) -> list[str]:
        """One line for each unusable plugin that the user did not name."""
        return [record.told for record in self.plugins if record.unusable and not record.explicit]

    def require_explicit(self) -> None:
        """Check that all plugins that the user named can be used.

        Raises:
            PluginError: Some can't; the message has one line for each.
        """
        bad = [record for record in self.plugins if record.unusable and record.explicit]
        if bad:
            raise bad[0].error("\n".join(record.told for record in bad))

    def _register(self, record: PluginRecord) -> PluginRecord:
        """Register all entries of a plugin, or none if a name is taken."""
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
        third_party: Whether to load plugins of other distributions.

    Returns:
        The catalogue. Its `plugins` include the unusable ones, with the reasons.
    """
    return Catalog(discover(files, third_party=third_party))
