"""Make the import of MXNet take half its time: what it prepares for all programs waits until this one asks for it.

MXNet writes and compiles a Python function for each of its operators, some 4,000 of them, in each of its namespaces;
a program calls a few dozen. And it imports scipy's statistics, for an instrument that normlab does not use.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

_BASE = "mxnet.base"
_REGISTERS = ("_init_op_module", "_init_np_op_module")
#: What MXNet imports for version numbers; where setuptools replaces it by its own, that takes another 0.1 s.
_DISTUTILS = "distutils"


@contextmanager
def prepared() -> Iterator[None]:
    """While this holds, importing MXNet costs half."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    before = {name for name in sys.modules if name.partition(".")[0] == _DISTUTILS}
    try:
        with _later("scipy", "stats"):
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
def _later(parent: str, child: str) -> Iterator[None]:
    """While this holds, importing this module gives a stand-in that imports it when something of it is used."""
    name = f"{parent}.{child}"
    if name in sys.modules:
        yield
        return
    package = importlib.import_module(parent)
    stand_in = ModuleType(name)
    vars(stand_in)["__getattr__"] = lambda attribute: getattr(importlib.import_module(name), attribute)
    sys.modules[name] = stand_in
    setattr(package, child, stand_in)
    try:
        yield
    finally:
        if sys.modules[name] is stand_in:
            del sys.modules[name]
        if getattr(package, child) is stand_in:
            delattr(package, child)


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
