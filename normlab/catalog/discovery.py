"""Discover plugins: built-in modules, entry points of installed distributions, and files that the user names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from normlab.catalog.loading import Loader, without_hooks
from normlab.catalog.plugin_record import PluginRecord
from normlab.errors import suggestion
from normlab.version import __version__

#: Modules of normlab that register parts, through the same hooks as all plugins.
BUILT_IN = (
    "normlab.norms.none",
    "normlab.norms.batch",
    "normlab.models.mlp",
    "normlab.models.lenet",
    "normlab.models.vgg",
    "normlab.models.resnet",
    "normlab.models.gluoncv",
    "normlab.datasets.plugin",
)

#: The group of entry points of plugins.
GROUP = "normlab"

#: The environment variable that selects the installed plugins to load: names separated by commas.
SWITCH = "NORMLAB_PLUGINS"

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Distribution(NamedTuple):
    """Name and version of an installed distribution."""

    name: str
    version: str


class EntryPoint(NamedTuple):
    """An entry point of a distribution.

    Attributes:
        name: Its name.
        value: The module it refers to.
        dist: Its distribution.
    """

    name: str
    value: str
    dist: Distribution


def discover(files: Sequence[str] = (), *, third_party: bool = True) -> list[PluginRecord]:
    """Find and import all plugins.

    Args:
        files: Paths of plugin files, as a spec or the command line names them.
        third_party: Whether to load plugins of other distributions. Files are always loaded.

    Returns:
        One record per plugin module. If two plugins register the same name, the earlier one gets it: built-in modules
        come first, then the plugins shipped with normlab, then other distributions by name, then files in the given
        order.
    """
    loader = Loader()
    records = [loader.module(PluginRecord(name, "normlab", __version__)) for name in BUILT_IN]
    records += _load_installed(loader, _read_switch(third_party=third_party))
    for path in files:
        _add_file(records, path, loader)
    return records


def _read_switch(*, third_party: bool) -> dict[str, str] | None:
    """Return the names of the plugins that may be loaded, by normalized name; None if all may be loaded."""
    text = os.environ.get(SWITCH)
    if third_party and text is None:
        return None
    names = (text or "").split(",") if third_party else ()
    return {_normalize(name): name.strip() for name in names if name.strip()}


def _load_installed(loader: Loader, allowed: dict[str, str] | None) -> Iterator[PluginRecord]:
    known: set[str] = set()
    modules: dict[str, PluginRecord] = {}
    for foreign, distribution, name, record in sorted(
        map(_make_sortable_record, _entry_points()), key=lambda found: found[:3]
    ):
        known |= {name, distribution}
        if foreign and allowed is not None and not {name, distribution} & set(allowed):
            yield record.failed("disabled", f"disabled by --no-plugins or {SWITCH}")
        elif record.name in modules:
            first = modules[record.name]
            yield record.failed("duplicate", f"{first.origin} already has an entry point for this module")
        else:
            modules[record.name] = record
            yield from _load(loader, record)
    for name, written in (allowed or {}).items():
        if name not in known:
            reason = f"{SWITCH} names it, but it is not installed{suggestion(name, known - {''})}"
            yield PluginRecord(written).failed("missing", reason)


def _make_sortable_record(entry_point: Any) -> tuple[bool, str, str, PluginRecord]:
    """Return the record of an entry point, preceded by its sort key: whether it is foreign, distribution, name."""
    dist = getattr(entry_point, "dist", None) or Distribution("", "")
    record = PluginRecord(entry_point.value, dist.name, dist.version)
    distribution = _normalize(record.distribution)
    return distribution != "normlab", distribution, _normalize(entry_point.name), record


def _entry_points() -> list[EntryPoint]:
    # Not metadata.entry_points(), which fails if a single installed distribution is damaged.
    found: dict[str, list[EntryPoint]] = {}
    for dist in metadata.distributions():
        try:
            text = dist.read_text("entry_points.txt") or ""
        except (OSError, UnicodeError):
            continue  # no plugin can be read from it
        if f"[{GROUP}]" in text:
            about = _read_metadata(dist)
            # if a distribution is installed twice, Python imports the first
            found.setdefault(_normalize(about.name), _read_group(dist, about))
    return [entry_point for entry_points in found.values() for entry_point in entry_points]


def _read_metadata(dist: metadata.Distribution) -> Distribution:
    try:
        message: Any = dist.metadata
        return Distribution(message["Name"] or "", message["Version"] or "")
    except Exception:  # noqa: BLE001 - if the file is missing, each version of Python raises another error
        return Distribution("", "")


def _read_group(dist: metadata.Distribution, about: Distribution) -> list[EntryPoint]:
    try:
        return [EntryPoint(point.name, point.value, about) for point in dist.entry_points if point.group == GROUP]
    except Exception:  # noqa: BLE001 - if a line is damaged, each version of Python raises another error
        return [EntryPoint("", "entry_points.txt that can't be read", about)]


def _load(loader: Loader, record: PluginRecord) -> list[PluginRecord]:
    """Import a module; of a package without hooks, import every public module in it separately."""
    if not _MODULE.fullmatch(record.name):
        return [record.failed("broken", "not a module name; expected an entry point `name = package.module`")]
    found = loader.module(record)
    if found.status != "ok" or found.hooks:
        return [found]
    inside = loader.submodules(found)
    # modules without hooks are helpers of the others
    plugins = [module for module in inside if module.hooks or module.status != "ok"]
    # an empty package is allowed in normlab's own distribution; elsewhere, its author forgot the hooks
    return plugins if inside or record.distribution == "normlab" else [without_hooks(found)]


def _add_file(records: list[PluginRecord], path: str, loader: Loader) -> None:
    """Load a file, unless it is already loaded, as part of a distribution or under another path."""
    for index, record in enumerate(records):
        if record.status == "ok" and record.file and _is_same_file(record.file, path):
            records[index] = replace(record, explicit=True)
            return
    found = loader.file(path)
    records.append(found if found.hooks or found.status != "ok" else without_hooks(found))


def _is_same_file(file: str, other: str) -> bool:
    return Path(file).name == Path(other).name and Path(file).resolve() == Path(other).resolve()


def _normalize(name: str) -> str:
    """Return the name of a distribution in the form that Python packaging compares."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
