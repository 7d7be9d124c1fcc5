"""Load plugins one by one, so that a broken one costs only itself.

A plugin's code runs with output captured and generators restored, so that it changes nothing for anyone else.
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

#: Characters of what a plugin prints that are shown.
_LONGEST = 60


class _Global(NamedTuple):
    """Something that all code of a process shares."""

    what: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


class Guard:
    """Keeps what plugins print from the screen, and puts back what all code shares.

    Put back are the global generators of Python and NumPy and the current folder, to what they were when the guard was
    made: reading them before each plugin again would take longer than loading it. MXNet's generator can't be read, so
    it can't be put back; normlab's runs don't depend on its state.
    """

    def __init__(self) -> None:
        self._before = {shared: shared.get() for shared in _shared()}

    @contextmanager
    def watching(self, remarks: list[str]) -> Iterator[None]:
        """Run the code of one plugin.

        Args:
            remarks: Gets a sentence for each thing that the plugin did.
        """
        had_mxnet = "mxnet" in sys.modules
        # with `buffer`, which some code writes to
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace", write_through=True)
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                yield
        finally:
            text = _text(printed)
            if text:
                remarks.append(f"prints {text[:_LONGEST]!r}")
            remarks += self._put_back()
            if not had_mxnet and "mxnet" in sys.modules:
                remarks.append("imports MXNet, which makes listing plugins a second slower; use the F that methods get")

    def _put_back(self) -> Iterator[str]:
        for shared in _shared():
            now = shared.get()
            # what was not there before, since nobody had imported it, is as good as any
            before = self._before.setdefault(shared, now)
            if now != before:
                shared.put(before)
                yield f"changes {shared.what}, which was put back"


def _text(printed: io.TextIOWrapper) -> str:
    if printed.closed:
        return ""
    return bytes(printed.buffer.getvalue()).decode("utf-8", "replace").strip()  # type: ignore[attr-defined] # a BytesIO


def _shared() -> Iterator[_Global]:
    yield _Global("Python's global random generator", random.getstate, random.setstate)
    yield _Global("the current folder", _folder, _enter)
    if "numpy" in sys.modules:
        yield _Global("NumPy's global random generator", _numpy_state, _put_numpy_state)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - compared as text
    except OSError:  # it was deleted
        return ""


def _enter(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = sys.modules["numpy"].random.get_state()
    return (name, keys.tobytes(), *rest)


def _put_numpy_state(state: tuple[Any, ...]) -> None:
    numpy = sys.modules["numpy"]
    name, keys, *rest = state
    numpy.random.set_state((name, numpy.frombuffer(keys, dtype="uint32"), *rest))


_PREFIX = "normlab_"

#: The hooks by name.
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(_PREFIX))

_KNOWN = f"the hooks are {', '.join(HOOKS)}"


def inspected(record: PluginRecord) -> PluginRecord:
    """The record with the hooks of its module, or with what is wrong with them."""
    if record.status != "ok":
        return record
    wanted = getattr(record.module, "NORMLAB_HOOKS", HOOKS_VERSION)
    if wanted != HOOKS_VERSION:
        return record.failed(
            "incompatible",
            f"needs hooks of version {wanted!r}, and this normlab has {HOOKS_VERSION}; install another version of one",
        )
    hooks = []
    for name, function in vars(record.module).items():
        if inspect.isroutine(function):
            problem = _problem(name, function, record.module.__name__)
            if problem:
                return record.failed("broken", problem)
            if _mark(function) is not None:
                hooks.append(name)
    return replace(record, hooks=tuple(hooks))


def without_hooks(record: PluginRecord) -> PluginRecord:
    """The record of a module that was named as a plugin but has no hook."""
    return record.failed("broken", f"has no hook; expected a function with @hookimpl before it; {_KNOWN}")


def _mark(function: Any) -> Any:
    """The options with which `@hookimpl` marked a function, or None."""
    return getattr(function, "normlab_impl", None)


def _problem(name: str, function: Any, module: str) -> str:
    mark = _mark(function)
    if mark is None:
        return _unmarked(name, function, module)
    if name not in HOOKS:
        return f"unknown hook {name!r}{suggestion(name, HOOKS)}; {_KNOWN}"
    parameters = inspect.signature(function).parameters
    if parameters:
        return f"{name} has a parameter {next(iter(parameters))!r}, which nobody passes; write `def {name}():`"
    if mark.get("wrapper") or mark.get("hookwrapper"):
        return f"{name} is a wrapper; write @hookimpl without arguments"
    return ""


def _unmarked(name: str, function: Any, module: str) -> str:
    """What is wrong with a function that nobody marked: it looks as if it were meant to be a hook."""
    if not name.startswith(_PREFIX) or getattr(function, "__module__", "") != module:
        return ""
    meant = nearest(name[len(_PREFIX) :], [hook[len(_PREFIX) :] for hook in HOOKS])
    if not meant:
        return ""
    rename = "" if name == _PREFIX + meant else f" and call it {_PREFIX}{meant}"
    return f"{name} is not marked as a hook; put @hookimpl before it{rename}"


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
