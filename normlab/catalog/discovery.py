"""Find plugins, import each on its own, and tell what is wrong with those that can't be used."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from normlab.catalog import hookspecs
from normlab.catalog.hookspecs import HOOKS_VERSION
from normlab.errors import NormlabError
from normlab.names import suggestion
from normlab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

#: Modules of normlab's own that register parts, through the same hooks as everybody's.
BUILT_IN = ("normlab.norms.none", "normlab.norms.batch", "normlab.models.mlp", "normlab.datasets.plugin")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("normlab_"))


@dataclass(frozen=True)
class PluginRecord:
    """One plugin module, usable or not.

    Attributes:
        name: Its module's name, or its file's path.
        distribution: The distribution that brings it, or "".
        version: That distribution's version.
        file: Its file.
        hooks: The hooks that it implements.
        status: `ok`, `broken`, `duplicate`, `incompatible` or `disabled`.
        reason: Why it can't be used, in one line.
        explicit: Whether the person named it, in a spec or on the command line.
        module: The imported module, if it could be imported.
    """

    name: str
    distribution: str = ""
    version: str = ""
    file: str = ""
    hooks: tuple[str, ...] = ()
    status: str = "ok"
    reason: str = ""
    explicit: bool = False
    module: Any = None

    def failed(self, status: str, reason: str) -> PluginRecord:
        """The same plugin, found unusable."""
        return replace(self, status=status, reason=" ".join(reason.split()), module=None)


def discover(files: Sequence[str] = (), *, third_party: bool = True) -> list[PluginRecord]:
    """Find and import all plugins: built in, by entry point, and the files named.

    Args:
        files: Paths of plugin files, as a spec or the command line names them.
        third_party: False to leave out plugins found by entry points of other distributions.

    Returns:
        One record a plugin module, in the order in which names are given out.
    """
    records = [inspected(_imported(PluginRecord(name, "normlab", __version__))) for name in BUILT_IN]
    allowed = os.environ.get("NORMLAB_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    for entry_point in sorted(_entry_points(), key=lambda point: (point.value != point.name, point.name)):
        distribution = entry_point.dist
        record = PluginRecord(
            entry_point.value,
            distribution.metadata["Name"] if distribution else "",
            distribution.version if distribution else "",
        )
        own = record.distribution == "normlab"
        if not own and (not third_party or (names is not None and not names & {entry_point.name, record.distribution})):
            records.append(record.failed("disabled", "switched off by --no-plugins or NORMLAB_PLUGINS"))
            continue
        records += [inspected(found) for found in _modules(record)]
    records += [inspected(_from_file(path)) for path in dict.fromkeys(files)]
    return records


def _entry_points() -> list[Any]:
    if sys.version_info >= (3, 10):
        return list(metadata.entry_points(group="normlab"))
    return list(metadata.entry_points().get("normlab", ()))


def _modules(record: PluginRecord) -> Iterator[PluginRecord]:
    """Import a module; of a package, every public module in it, each on its own."""
    package = _imported(record)
    yield package
    for found in pkgutil.iter_modules(getattr(package.module, "__path__", ())):
        if not found.name.startswith("_"):
            yield _imported(replace(record, name=f"{record.name}.{found.name}"))


def _imported(record: PluginRecord) -> PluginRecord:
    try:
        module = importlib.import_module(record.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises must cost only itself
        return record.failed("broken", f"does not import: {told(error)}")
    return replace(record, module=module, file=getattr(module, "__file__", None) or "")


def _from_file(path: str) -> PluginRecord:
    file = Path(path)
    record = PluginRecord(str(path), file=str(file), explicit=True)
    if not file.is_file():
        return record.failed("broken", "no such file")
    # A name that no import statement can reach, and that differs for files of the same name in two folders.
    name = f"normlab_plugin_file_{sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return replace(record, module=sys.modules[name])
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return record.failed("broken", "not a Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises must cost only itself
        del sys.modules[name]
        return record.failed("broken", f"does not import: {told(error)}")
    return replace(record, module=module)


def told(error: BaseException) -> str:
    """An exception in one line, with the line of the plugin where it arose."""
    text = f"{type(error).__name__}: {error}" if not isinstance(error, NormlabError) else str(error)
    if isinstance(error, SyntaxError):  # says file and line itself
        return text
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and "importlib" not in trace.tb_frame.f_code.co_filename:
        return f"{text} ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
    return text


def inspected(record: PluginRecord) -> PluginRecord:
    """Check a plugin's hooks without calling them."""
    if record.status != "ok":
        return record
    module = record.module
    wanted = getattr(module, "NORMLAB_HOOKS", HOOKS_VERSION)
    if wanted != HOOKS_VERSION:
        return record.failed(
            "incompatible", f"needs hooks of version {wanted}, this normlab has {HOOKS_VERSION}; install another version"
        )
    hooks = []
    for name, function in vars(module).items():
        problem = _hook_problem(name, function)
        if problem:
            return record.failed("broken", problem)
        if _mark(function) is not None:
            hooks.append(name)
    if record.explicit and not hooks:
        return record.failed("broken", f"has no hook; expected a function with @hookimpl named {', '.join(HOOKS)}")
    return replace(record, hooks=tuple(hooks))


def _mark(function: Any) -> Any:
    return getattr(function, "normlab_impl", None) if inspect.isroutine(function) else None


def _hook_problem(name: str, function: Any) -> str:
    if _mark(function) is None:
        if name in HOOKS and inspect.isroutine(function):
            return f"{name} is not marked; put @hookimpl before it"
        return ""
    if name not in HOOKS:
        return f"unknown hook {name!r}{suggestion(name, HOOKS)}; the hooks are {', '.join(HOOKS)}"
    if inspect.signature(function).parameters:
        return f"{name} takes no parameters; pluggy never passes those with defaults"
    return ""


def manager(records: Sequence[PluginRecord]) -> tuple[pluggy.PluginManager, list[PluginRecord]]:
    """Register the usable plugins with pluggy.

    Returns:
        The plugin manager, and the records, of which those that pluggy refuses are now marked broken.
    """
    plugins = pluggy.PluginManager("normlab")
    plugins.add_hookspecs(hookspecs)
    result = []
    for record in records:
        if record.status != "ok" or not record.hooks:
            result.append(record)
            continue
        try:
            plugins.register(record.module, record.name)
            result.append(record)
        except (ValueError, pluggy.PluginValidationError) as error:
            result.append(record.failed("broken", str(error)))
    return plugins, result


def members(module: ModuleType, hook: str) -> list[Any]:
    """What a plugin's hook yields, as a list."""
    return list(getattr(module, hook)())
