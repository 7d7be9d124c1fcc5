"""Halve the time that importing MXNet takes, by postponing work until it is needed.

MXNet generates and compiles a Python function for each of its about 4,000 operators in each of its namespaces, of which
a program calls a few dozen. It also imports libraries for features that normlab does not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any, Callable

_BASE = "mxnet.base"
_REGISTERS = ("_init_op_module", "_init_np_op_module")
#: MXNet imports it to compare version numbers; if setuptools replaces it by its own version, that takes 0.1 s more.
_DISTUTILS = "distutils"
#: Modules that MXNet imports for its own tests, sparse matrices, downloads and images.
_POSTPONED = ("scipy.stats", "scipy.sparse", "requests", "cv2")


@contextmanager
def fast_import() -> Iterator[None]:
    """Make an import of MXNet inside take half the time."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    before = {name for name in sys.modules if name.partition(".")[0] == _DISTUTILS}
    try:
        with ExitStack() as stack:
            for name in _POSTPONED:
                stack.enter_context(_postpone(name))
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == _DISTUTILS and name not in before]:
            del sys.modules[name]  # else setuptools warns that distutils was imported before it


class _Finder:
    """Finds MXNet's base module and distutils in its own way, and leaves all others to the other finders."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find MXNet's base module and make it register operators lazily; find Python's own distutils."""
        if name == _DISTUTILS and sys.version_info < (3, 12):  # from 3.12 on, only setuptools has it
            return PathFinder.find_spec(name, path, target)
        if name != _BASE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                for register in _REGISTERS:
                    setattr(module, register, _register_lazily(getattr(module, register)))

            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this one loader
        return spec


@contextmanager
def _postpone(name: str) -> Iterator[None]:
    """Make imports of a module inside return a stand-in, which imports the module when an attribute is used."""
    if name in sys.modules or find_spec(name) is None:
        yield
        return
    parent, _, child = name.rpartition(".")
    package = importlib.import_module(parent) if parent else None
    stand_in = ModuleType(name)
    vars(stand_in)["__getattr__"] = lambda attribute: _attribute_of(stand_in, attribute)
    sys.modules[name] = stand_in
    if package:
        setattr(package, child, stand_in)
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        if package and getattr(package, child) is stand_in:
            delattr(package, child)


def _attribute_of(stand_in: ModuleType, attribute: str) -> Any:
    name = stand_in.__name__
    known = sys.modules.get(name)
    if (name, attribute) == ("scipy.sparse", "csr"):
        # MXNet checks for each array whether it is a sparse matrix; none is if scipy.sparse has not been imported
        return SimpleNamespace(csr_matrix=vars(known).get("csr_matrix", ()) if known else ())
    if known is stand_in:  # a module that is imported meanwhile may use it already, as GluonCV does
        del sys.modules[name]
    return getattr(importlib.import_module(name), attribute)


def _register_lazily(register: Callable[..., None]) -> Callable[..., None]:
    def registering(*names: Any, make_op_func: Callable[..., Any] | None = None, **more: Any) -> None:
        if make_op_func is None:
            *names, make_op_func = names  # type: ignore[assignment] # a list from here on
        register(*names, make_op_func=_make_lazily(make_op_func), **more)

    return registering


def _make_lazily(make: Callable[..., Callable[..., Any]]) -> Callable[..., Any]:
    def make_lazily(handle: Any, name: str, func_name: str) -> Callable[..., Any]:
        made: list[Callable[..., Any]] = []

        def operator(*args: Any, **kwargs: Any) -> Any:
            if not made:
                made.append(make(handle, name, func_name))
            return made[0](*args, **kwargs)

        operator.__name__ = operator.__qualname__ = func_name
        operator.__doc__ = ""  # MXNet edits some docstrings
        return operator

    return make_lazily
