"""The catalogue: every norm, network and data set by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from normlab.catalog.discovery import PluginRecord, discover, manager, members, told
from normlab.catalog.entries import DataSource, Model
from normlab.errors import PluginBroken, SpecError
from normlab.names import NAME, nearest, suggestion
from normlab.norm import Norm, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Entry = TypeVar("Entry", Norm, Model, DataSource)


class _Kind(NamedTuple):
    hook: str
    type: type
    word: str
    listing: str


_KINDS = (
    _Kind("normlab_norms", Norm, "norm", "normlab norms"),
    _Kind("normlab_models", Model, "model", "normlab models"),
    _Kind("normlab_datasets", DataSource, "data set", "normlab data"),
)


class Shelf(Generic[Entry]):
    """Entries of one kind by name.

    Attributes:
        entries: The entries, by name.
    """

    def __init__(self, kind: _Kind, plugins: list[PluginRecord]) -> None:
        self._kind = kind
        self._plugins = plugins
        self.entries: dict[str, Entry] = {}

    def get(self, name: str) -> Entry:
        """The entry of this name.

        Raises:
            SpecError: There is none.
            PluginBroken: There is none, nothing is like it, and a plugin that may bring it can't be used.
        """
        if name in self.entries:
            return self.entries[name]
        unusable = [record for record in self._plugins if record.status not in ("ok", "disabled")]
        if unusable and not nearest(name, self.entries):
            lines = [f"{record.name}: {record.reason}" for record in unusable[:3]]
            raise PluginBroken(
                "\n".join([f"unknown {self._kind.word} {name!r}; these plugins can't be used and may bring it:", *lines])
            )
        raise SpecError(
            f"unknown {self._kind.word} {name!r}{suggestion(name, self.entries)}; `{self._kind.listing}` lists them"
        )

    def add(self, entry: Any, record: PluginRecord) -> str:
        """Take up an entry, unless its name is no name or is taken: then say why."""
        if not isinstance(entry, self._kind.type):
            return f"broken:{self._kind.hook} yields {type(entry).__name__}; expected {self._kind.type.__name__} objects"
        if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
            return f"broken:name {entry.name!r} is not of the form {NAME.pattern}"
        if isinstance(entry, Norm) and not entry.ways:
            return f"broken:norm {entry.name!r} acts in no way; give Norm(..., layer=...) or another way"
        if entry.name in self.entries:
            taken = self.entries[entry.name].source
            return f"duplicate:{self._kind.word} {entry.name!r} is taken by {taken.distribution or taken.file}; rename it"
        self.entries[entry.name] = replace(entry, source=Source(record.distribution, record.version, record.file))
        return ""


class Catalog:
    """Everything that specs can name.

    Attributes:
        norms: Normalization methods.
        models: Networks.
        datasets: Data sets.
        plugins: A record for each plugin module, usable or not.
    """

    def __init__(self, records: list[PluginRecord]) -> None:
        self.pluggy, self.plugins = manager(records)
        self.norms: Shelf[Norm] = Shelf(_KINDS[0], self.plugins)
        self.models: Shelf[Model] = Shelf(_KINDS[1], self.plugins)
        self.datasets: Shelf[DataSource] = Shelf(_KINDS[2], self.plugins)
        shelves: Mapping[str, Shelf[Any]] = dict(
            zip((kind.hook for kind in _KINDS), (self.norms, self.models, self.datasets))
        )
        for index, record in enumerate(self.plugins):
            if record.status == "ok":
                self.plugins[index] = _filled(shelves, record)

    def require_explicit(self) -> None:
        """Refuse to go on if a plugin that the person named can't be used.

        Raises:
            PluginBroken: With one line a plugin.
        """
        lines = [f"plugin {r.name}: {r.reason}" for r in self.plugins if r.explicit and r.status != "ok"]
        if lines:
            raise PluginBroken("\n".join(lines))


def _filled(shelves: Mapping[str, Shelf[Any]], record: PluginRecord) -> PluginRecord:
    for hook in record.hooks:
        try:
            entries = members(record.module, hook)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises must cost only itself
            return record.failed("broken", f"{hook}: {told(error)}")
        for entry in entries:
            problem = shelves[hook].add(entry, record)
            if problem:
                return record.failed(*problem.split(":", 1))
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
