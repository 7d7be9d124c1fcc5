"""Load plugins one by one, so that a broken plugin does not affect the others.

While code of a plugin runs, its output is captured; afterwards, global random generators and the current folder are
restored.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import os
import pkgutil
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple

from normlab.catalog import hookspecs
from normlab.catalog.hookspecs import HOOKS_VERSION
from normlab.catalog.plugin_record import PluginRecord
from normlab.catalog.validation import KINDS, given, place, told
from normlab.errors import nearest, suggestion
from normlab.norms.contract import Source
from normlab.version import __version__

#: Maximum number of characters of a plugin's output in its remark.
_LONGEST = 60


class _Global(NamedTuple):
    """Global state of the process."""

    what: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


class Guard:
    """Captures the output of plugins and restores global state that they change.

    The state of the global random generators of Python and NumPy and the current folder are saved once, when the guard
    is created, because reading them before each plugin would take longer than loading the plugin. The generator of
    MXNet can't be read, so it is not restored; runs don't depend on it.
    """

    def __init__(self) -> None:
        self._before = {shared: shared.get() for shared in _shared()}

    @contextmanager
    def watching(self, remarks: list[str]) -> Iterator[None]:
        """Return a context in which the code of one plugin can run.

        Args:
            remarks: List to which a remark is added for each side effect of the plugin.
        """
        had_mxnet = "mxnet" in sys.modules
        # has a `buffer`, which some code writes to
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace", write_through=True)
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                yield
        finally:
            text = _text(printed)
            if text:
                remarks.append(f"prints {text[:_LONGEST]!r}")
            remarks += self._restore()
            if not had_mxnet and "mxnet" in sys.modules:
                remarks.append(
                    "imports MXNet, which makes listing plugins a second slower; use the F that is passed to methods"
                )

    def _restore(self) -> Iterator[str]:
        for shared in _shared():
            now = shared.get()
            # NumPy may have been imported since; then its first known state is the one to restore
            before = self._before.setdefault(shared, now)
            if now != before:
                shared.put(before)
                yield f"changes {shared.what}, which was restored"


def _text(printed: io.TextIOWrapper) -> str:
    if printed.closed:
        return ""
    return bytes(printed.buffer.getvalue()).decode("utf-8", "replace").strip()  # type: ignore[attr-defined] # a BytesIO


def _shared() -> Iterator[_Global]:
    yield _Global("Python's global random generator", random.getstate, random.setstate)
    yield _Global("the current folder", _folder, _enter)
    if "numpy" in sys.modules:
        yield _Global("NumPy's global random generator", _numpy_state, _set_numpy_state)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - compared as str
    except OSError:  # the folder was deleted
        return ""


def _enter(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = sys.modules["numpy"].random.get_state()
    return (name, keys.tobytes(), *rest)


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    numpy = sys.modules["numpy"]
    name, keys, *rest = state
    numpy.random.set_state((name, numpy.frombuffer(keys, dtype="uint32"), *rest))


_PREFIX = "normlab_"

#: The hooks by name.
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(_PREFIX))

_KNOWN = f"the hooks are {', '.join(HOOKS)}"


def _check_hooks(record: PluginRecord) -> PluginRecord:
    """Return the record with the names of the module's hooks, or failed if a hook is wrong."""
    if record.status != "ok":
        return record
    required = getattr(record.module, "NORMLAB_HOOKS", HOOKS_VERSION)
    if required != HOOKS_VERSION:
        return record.failed(
            "incompatible",
            f"needs version {required!r} of the hooks, but this normlab has {HOOKS_VERSION}; update one of them",
        )
    hooks = []
    for name, function in vars(record.module).items():
        if inspect.isroutine(function):
            problem = _hook_problem(name, function, record.module.__name__)
            if problem:
                return record.failed("broken", problem)
            if _mark(function) is not None:
                hooks.append(name)
    return replace(record, hooks=tuple(hooks))


def without_hooks(record: PluginRecord) -> PluginRecord:
    """Return the record as failed, because the module is named as a plugin but has no hook."""
    return record.failed("broken", f"has no hook; expected a function marked with @hookimpl; {_KNOWN}")


def _mark(function: Any) -> Any:
    """Return the options that `@hookimpl` attached to a function, or None if it is not marked."""
    return getattr(function, "normlab_impl", None)


def _hook_problem(name: str, function: Any, module: str) -> str:
    mark = _mark(function)
    if mark is None:
        return _unmarked_problem(name, function, module)
    if name not in HOOKS:
        return f"unknown hook {name!r}{suggestion(name, HOOKS)}; {_KNOWN}"
    parameters = inspect.signature(function).parameters
    if parameters:
        return f"{name} has a parameter {next(iter(parameters))!r}, but hooks take no arguments; write `def {name}():`"
    if mark.get("wrapper") or mark.get("hookwrapper"):
        return f"{name} is a wrapper; write @hookimpl without arguments"
    return ""


def _unmarked_problem(name: str, function: Any, module: str) -> str:
    """Return what is wrong with an unmarked function that was probably meant to be a hook, or ""."""
    if not name.startswith(_PREFIX) or getattr(function, "__module__", "") != module:
        return ""
    meant = nearest(name[len(_PREFIX) :], [hook[len(_PREFIX) :] for hook in HOOKS])
    if not meant:
        return ""
    rename = "" if name == _PREFIX + meant else f" and call it {_PREFIX}{meant}"
    return f"{name} is not marked as a hook; put @hookimpl before it{rename}"


class Loader:
    """Loads plugins: imports each one, checks its hooks, and calls them to collect the entries."""

    def __init__(self) -> None:
        self._guard = Guard()

    def module(self, record: PluginRecord) -> PluginRecord:
        """Load the module that a record names."""
        return self._load(record, lambda: importlib.import_module(record.name))

    def submodules(self, record: PluginRecord) -> list[PluginRecord]:
        """Load every public module in a package separately."""
        return [
            self.module(replace(record, name=f"{record.name}.{found.name}", file="", module=None, remark=""))
            for found in pkgutil.iter_modules(getattr(record.module, "__path__", ()))
            if not found.name.startswith("_") and not found.ispkg
        ]

    def file(self, path: str) -> PluginRecord:
        """Load a file that the user named.

        The file is always compiled from its current text. It leaves no `__pycache__`, and in a notebook it can be
        edited and loaded again.
        """
        file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        record = PluginRecord(path, file=str(file), explicit=True)
        if not file.exists():
            return record.failed("missing", "no such file; check the path (in a spec, it is relative to the spec)")
        if file.suffix != ".py" or not file.is_file():
            return record.failed("broken", "not a Python file; expected a name that ends in .py")
        return self._load(record, lambda: _execute(file))

    def _load(self, record: PluginRecord, load: Callable[[], ModuleType]) -> PluginRecord:
        remarks: list[str] = []
        with self._guard.watching(remarks):
            found = _collect_entries(_check_hooks(_import(record, load)))
        return found.remarked(remarks)


def _import(record: PluginRecord, load: Callable[[], ModuleType]) -> PluginRecord:
    try:
        module = load()
    except BaseException as error:  # noqa: BLE001 - no exception of a plugin may affect others
        reason = f"can't be imported: {told(error)}"
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "normlab":
            reason += f"; it may need another version of normlab than {__version__}"
        file = record.file or place(error)[0] or _file_of(record.name)
        return replace(record, file=file).failed("broken", reason)
    return replace(record, module=module, file=getattr(module, "__file__", None) or "")


def _file_of(module: str) -> str:
    """Return the file of a module that can't be imported, or "" if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # noqa: BLE001 - this imports the parent package, which may fail again
        return ""
    return (spec.origin or "") if spec else ""


def _execute(file: Path) -> ModuleType:
    source = file.read_bytes()
    # The name can't collide with a module, and differs for files of the same name in two folders.
    name = f"normlab_plugin_file_{sha256(bytes(file.resolve()) + source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file)
    with _in_sys_modules(name, module):
        exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 - the user named this file
    return module


@contextmanager
def _in_sys_modules(name: str, module: ModuleType) -> Iterator[None]:
    """Keep a module in `sys.modules`, where its classes look for it, unless it fails."""
    sys.modules[name] = module
    try:
        yield
    except BaseException:
        del sys.modules[name]
        raise


def _collect_entries(record: PluginRecord) -> PluginRecord:
    """Return the record with the entries that its hooks yield, or failed if one is invalid."""
    source = Source(record.distribution, record.version, record.file)
    entries = {}
    for kind in KINDS:
        if record.status == "ok" and kind.hook in record.hooks:
            entries[kind.hook], problem = given(getattr(record.module, kind.hook), kind, source)
            if problem:
                return record.failed("broken", problem)
    return replace(record, entries=entries)
