"""Make the import of MXNet take half its time: what it prepares for all programs waits until this one asks for it.

MXNet writes and compiles a Python function for each of its operators, some 4,000 of them, in each of its namespaces;
a program calls a few dozen. And it imports libraries for instruments that normlab does not use.
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
#: What MXNet imports for version numbers; where setuptools replaces it by its own, that takes another 0.1 s.
_DISTUTILS = "distutils"
#: What MXNet imports for statistics of its own tests, sparse matrices, downloads and pictures.
_LATER = ("scipy.stats", "scipy.sparse", "requests", "cv2")


@contextmanager
def prepared() -> Iterator[None]:
    """While this holds, importing MXNet costs half."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    before = {name for name in sys.modules if name.partition(".")[0] == _DISTUTILS}
    try:
        with ExitStack() as stack:
            for name in _LATER:
                stack.enter_context(_later(name))
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == _DISTUTILS and name not in before]:
            del sys.modules[name]  # setuptools would complain that it came too late


class _Finder:
    """Finds two modules in its own way; all others are found as ever."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find MXNet's base module, and change how it registers operators; find Python's own distutils."""
        if name == _DISTUTILS and sys.version_info < (3, 12):  # from then on only setuptools has it
            return PathFinder.find_spec(name, path, target)
        if name != _BASE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                for register in _REGISTERS:
                    setattr(module, register, _registering_lazily(getattr(module, register)))

            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this one loader
        return spec


@contextmanager
def _later(name: str) -> Iterator[None]:
    """While this holds, importing this module gives a stand-in that imports it when something of it is used."""
    if name in sys.modules or find_spec(name) is None:
        yield
        return
    parent, _, child = name.rpartition(".")
    package = importlib.import_module(parent) if parent else None
    stand_in = ModuleType(name)
    vars(stand_in)["__getattr__"] = lambda attribute: _of_module(stand_in, attribute)
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


def _of_module(stand_in: ModuleType, attribute: str) -> Any:
    name = stand_in.__name__
    known = sys.modules.get(name)
    if (name, attribute) == ("scipy.sparse", "csr"):
        # MXNet asks of each array whether it is such a matrix; none is before somebody has imported what makes them
        return SimpleNamespace(csr_matrix=vars(known).get("csr_matrix", ()) if known else ())
    if known is stand_in:  # what is imported meanwhile uses it already, as GluonCV does
        del sys.modules[name]
    return getattr(importlib.import_module(name), attribute)


def _registering_lazily(register: Callable[..., None]) -> Callable[..., None]:
    def registering(*names: Any, make_op_func: Callable[..., Any] | None = None, **more: Any) -> None:
        if make_op_func is None:
            *names, make_op_func = names  # type: ignore[assignment] # a list from here on
        register(*names, make_op_func=_making_lazily(make_op_func), **more)

    return registering


def _making_lazily(make: Callable[..., Callable[..., Any]]) -> Callable[..., Any]:
    def make_lazily(handle: Any, name: str, func_name: str) -> Callable[..., Any]:
        made: list[Callable[..., Any]] = []

        def operator(*args: Any, **kwargs: Any) -> Any:
            if not made:
                made.append(make(handle, name, func_name))
            return made[0](*args, **kwargs)

        operator.__name__ = operator.__qualname__ = func_name
        operator.__doc__ = ""  # MXNet edits some of its texts
        return operator

    return make_lazily
