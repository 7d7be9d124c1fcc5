"""The entries of one kind by name, and the right error for a name that can't be given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from normlab.catalog.entries import DataSource, Model
from normlab.errors import NormlabError, PluginBroken, PluginDuplicate, SpecError, nearest, suggestion
from normlab.norms.contract import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog.fitness import Kind
    from normlab.catalog.record import PluginRecord

Entry = TypeVar("Entry", Norm, Model, DataSource)

#: Plugins that an error names at most.
_MOST = 3


class Shelf(Generic[Entry]):
    """Entries of one kind by name.

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
        """The entry of this name.

        Raises:
            SpecError: There is none.
            PluginError: There is one in a plugin that can't be used; or there may be, in a plugin of which nothing can
                be read, and nothing that is there is like it.
            PluginDuplicate: Two plugins of other distributions have one each, and neither is the right one.
        """
        if name in self._contested:
            both = f"{self._owners[name].origin} and {self._contested[name].origin}"
            raise PluginDuplicate(
                f"{self._kind.word} {name!r} comes from two plugins, {both}; "
                "uninstall one, or name those to be loaded in NORMLAB_PLUGINS"
            )
        if name in self.entries:
            return self.entries[name]
        raise self._error(name)

    def refuse(self, name: str, record: PluginRecord) -> str:
        """Why a plugin can't have this name, or ""."""
        owner = self._owners.get(name)
        if owner is None:
            return ""
        taken = f"{self._kind.word} {name!r} is taken by {owner.origin}{f' ({owner.file})' * bool(owner.distribution)}"
        if owner.distribution == "normlab":
            return f"{taken} and can't be replaced; rename it"
        if not record.explicit:
            self._contested[name] = record
        return f"{taken}; rename it, or switch the other off in NORMLAB_PLUGINS"

    def add(self, entry: Any, record: PluginRecord) -> None:
        """Take up an entry whose name is free."""
        self.entries[entry.name] = entry
        self._owners[entry.name] = record

    def _error(self, name: str) -> NormlabError:
        unusable = [record for record in self._plugins if record.unusable]
        for record in unusable:
            if self._is_in(name, record):
                return record.error(f"{self._kind.word} {name!r} can't be used; {record.told}")
        unknown = f"unknown {self._kind.word} {name!r}"
        closed = [record for record in unusable if not _sources(record)]
        if closed and not nearest(name, self.entries):
            told = "\n".join(record.told for record in closed[:_MOST])
            return PluginBroken(f"{unknown}; these plugins can't be used and may bring it:\n{told}")
        off = sum(record.status == "disabled" for record in self._plugins)
        hint = f"; {off} plugin{'s are' if off > 1 else ' is'} switched off" if off else ""
        return SpecError(f"{unknown}{suggestion(name, self.entries)}{hint}; `{self._kind.listing}` lists them")

    def _is_in(self, name: str, record: PluginRecord) -> bool:
        """Whether a plugin that can't be used would bring this name, as far as its hook or its source tells."""
        if record.brings:
            return name in record.brings.get(self._kind.hook, ())
        quoted = re.compile(rf"""(["']){re.escape(name)}\1""")
        return any(quoted.search(file.read_text(encoding="utf-8", errors="replace")) for file in _sources(record))


def _sources(record: PluginRecord) -> list[Path]:
    """The files in which a plugin's names are written: its own; of a package, all in its folder."""
    file = Path(record.file)
    if file.suffix != ".py" or not file.is_file():
        return []
    return sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]
