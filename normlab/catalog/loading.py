"""Load one plugin after another, so that whatever goes wrong costs only itself."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Callable

from normlab.catalog.fitness import KINDS, given
from normlab.catalog.guard import Guard
from normlab.catalog.inspection import inspected
from normlab.catalog.record import PluginRecord
from normlab.catalog.telling import place, told
from normlab.norms.contract import Source
from normlab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loader:
    """Loads plugins: imports each, checks its hooks, and asks them what it brings."""

    def __init__(self) -> None:
        self._guard = Guard()

    def module(self, record: PluginRecord) -> PluginRecord:
        """Load the module of a record's name."""
        return self._loaded(record, lambda: importlib.import_module(record.name))

    def submodules(self, record: PluginRecord) -> list[PluginRecord]:
        """Load every public module in a package, each on its own."""
        return [
            self.module(replace(record, name=f"{record.name}.{found.name}", file="", module=None, remark=""))
            for found in pkgutil.iter_modules(getattr(record.module, "__path__", ()))
            if not found.name.startswith("_") and not found.ispkg
        ]

    def file(self, path: str) -> PluginRecord:
        """Load a file that the person named.

        It is compiled from what it holds now: no `__pycache__` is left beside it, and a notebook that edits it and
        names it again gets what it says then.
        """
        file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        record = PluginRecord(path, file=str(file), explicit=True)
        if not file.exists():
            return record.failed("missing", "no such file; check the path, which in a spec is relative to that spec")
        if file.suffix != ".py" or not file.is_file():
            return record.failed("broken", "not a Python file; expected one whose name ends in .py")
        return self._loaded(record, lambda: _executed(file))

    def _loaded(self, record: PluginRecord, load: Callable[[], ModuleType]) -> PluginRecord:
        remarks: list[str] = []
        with self._guard.watching(remarks):
            found = _asked(inspected(_imported(record, load)))
        return found.remarked(remarks)


def _imported(record: PluginRecord, load: Callable[[], ModuleType]) -> PluginRecord:
    try:
        module = load()
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises must cost only itself
        reason = f"does not import: {told(error)}"
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "normlab":
            reason += f"; it may need another version of normlab than {__version__}"
        file = record.file or place(error)[0] or _file_of(record.name)
        return replace(record, file=file).failed("broken", reason)
    return replace(record, module=module, file=getattr(module, "__file__", None) or "")


def _file_of(module: str) -> str:
    """The file of a module that does not import, or "" if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # noqa: BLE001 - the package around it is imported for that, and may fail again
        return ""
    return (spec.origin or "") if spec else ""


def _executed(file: Path) -> ModuleType:
    source = file.read_bytes()
    # A name that no import statement can reach, and that differs for files of the same name in two folders.
    name = f"normlab_plugin_file_{sha256(bytes(file.resolve()) + source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file)
    with _listed(name, module):
        exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 - the person asked for this file
    return module


@contextmanager
def _listed(name: str, module: ModuleType) -> Iterator[None]:
    """Let a module be found by the classes that it defines, unless it fails."""
    sys.modules[name] = module
    try:
        yield
    except BaseException:
        del sys.modules[name]
        raise


def _asked(record: PluginRecord) -> PluginRecord:
    """The record with what its hooks give, or with what is wrong with that."""
    source = Source(record.distribution, record.version, record.file)
    entries = {}
    for kind in KINDS:
        if record.status == "ok" and kind.hook in record.hooks:
            entries[kind.hook], problem = given(getattr(record.module, kind.hook), kind, source)
            if problem:
                return record.failed("broken", problem)
    return replace(record, entries=entries)
