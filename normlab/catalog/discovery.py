"""Find plugins: built in, by entry points of installed distributions, and the files that a person names."""

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

#: Modules of normlab's own that register parts, through the same hooks as everybody's.
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

#: The group of entry points that are plugins.
GROUP = "normlab"

#: The environment variable that says which installed plugins are loaded: names with commas between them.
SWITCH = "NORMLAB_PLUGINS"

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Distribution(NamedTuple):
    """An installed distribution, as far as it is of interest."""

    name: str
    version: str


class EntryPoint(NamedTuple):
    """An entry point of a distribution.

    Attributes:
        name: What it is called.
        value: The module that it names.
        dist: The distribution.
    """

    name: str
    value: str
    dist: Distribution


def discover(files: Sequence[str] = (), *, third_party: bool = True) -> list[PluginRecord]:
    """Find and import all plugins.

    Args:
        files: Paths of plugin files, as a spec or the command line names them.
        third_party: False to leave out plugins of other distributions; files are loaded all the same.

    Returns:
        One record a plugin module, in the order in which names are given out: what is built in, what is shipped with
        normlab, other distributions by name, files as they are named.
    """
    loader = Loader()
    records = [loader.module(PluginRecord(name, "normlab", __version__)) for name in BUILT_IN]
    records += _installed(loader, _allowed(third_party=third_party))
    for path in files:
        _add_file(records, path, loader)
    return records


def _allowed(*, third_party: bool) -> dict[str, str] | None:
    """The plugins that may be loaded as they are written, by normalized name; None if all may."""
    text = os.environ.get(SWITCH)
    if third_party and text is None:
        return None
    names = (text or "").split(",") if third_party else ()
    return {_normalized(name): name.strip() for name in names if name.strip()}


def _installed(loader: Loader, allowed: dict[str, str] | None) -> Iterator[PluginRecord]:
    known: set[str] = set()
    modules: dict[str, PluginRecord] = {}
    for foreign, distribution, name, record in sorted(map(_declared, _entry_points()), key=lambda found: found[:3]):
        known |= {name, distribution}
        if foreign and allowed is not None and not {name, distribution} & set(allowed):
            yield record.failed("disabled", f"switched off by --no-plugins or {SWITCH}")
        elif record.name in modules:
            first = modules[record.name]
            yield record.failed("duplicate", f"{first.origin} has an entry point for this module already")
        else:
            modules[record.name] = record
            yield from _loaded(loader, record)
    for name, written in (allowed or {}).items():
        if name not in known:
            reason = f"{SWITCH} names it, but it is not installed{suggestion(name, known - {''})}"
            yield PluginRecord(written).failed("missing", reason)


def _declared(entry_point: Any) -> tuple[bool, str, str, PluginRecord]:
    """The record of an entry point, after what it is sorted by: whether it is foreign, distribution, name."""
    dist = getattr(entry_point, "dist", None) or Distribution("", "")
    record = PluginRecord(entry_point.value, dist.name, dist.version)
    distribution = _normalized(record.distribution)
    return distribution != "normlab", distribution, _normalized(entry_point.name), record


def _entry_points() -> list[EntryPoint]:
    # Not metadata.entry_points(): one damaged file of anybody's would end it.
    found: dict[str, list[EntryPoint]] = {}
    for dist in metadata.distributions():
        try:
            text = dist.read_text("entry_points.txt") or ""
        except (OSError, UnicodeError):
            continue  # whatever it is, no plugin of normlab can be read from it
        if f"[{GROUP}]" in text:
            about = _about(dist)
            # of a distribution that is found twice, Python imports the first
            found.setdefault(_normalized(about.name), _of_group(dist, about))
    return [entry_point for entry_points in found.values() for entry_point in entry_points]


def _about(dist: metadata.Distribution) -> Distribution:
    try:
        message: Any = dist.metadata
        return Distribution(message["Name"] or "", message["Version"] or "")
    except Exception:  # noqa: BLE001 - where the file is absent, four versions of Python each fail in their own way
        return Distribution("", "")


def _of_group(dist: metadata.Distribution, about: Distribution) -> list[EntryPoint]:
    try:
        return [EntryPoint(point.name, point.value, about) for point in dist.entry_points if point.group == GROUP]
    except Exception:  # noqa: BLE001 - where a line is damaged, four versions of Python each fail in their own way
        return [EntryPoint("", "entry_points.txt that can't be read", about)]


def _loaded(loader: Loader, record: PluginRecord) -> list[PluginRecord]:
    """Import a module; of a package without hooks, every public module in it, each on its own."""
    if not _MODULE.fullmatch(record.name):
        return [record.failed("broken", "not the name of a module; expected an entry point `name = package.module`")]
    found = loader.module(record)
    if found.status != "ok" or found.hooks:
        return [found]
    inside = loader.submodules(found)
    # what has no hook is there for the others
    plugins = [module for module in inside if module.hooks or module.status != "ok"]
    # an empty family of normlab's own is one that waits for its methods; a stranger forgot something
    return plugins if inside or record.distribution == "normlab" else [without_hooks(found)]


def _add_file(records: list[PluginRecord], path: str, loader: Loader) -> None:
    """Load a file, unless it is loaded already: as a part of a distribution, or named in other words."""
    for index, record in enumerate(records):
        if record.status == "ok" and record.file and _same(record.file, path):
            records[index] = replace(record, explicit=True)
            return
    found = loader.file(path)
    records.append(found if found.hooks or found.status != "ok" else without_hooks(found))


def _same(file: str, other: str) -> bool:
    return Path(file).name == Path(other).name and Path(file).resolve() == Path(other).resolve()


def _normalized(name: str) -> str:
    """A name of a distribution as Python's packaging compares it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
