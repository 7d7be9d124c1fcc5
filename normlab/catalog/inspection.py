"""Check a plugin's hooks without calling them."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from normlab.catalog import hookspecs
from normlab.catalog.hookspecs import HOOKS_VERSION
from normlab.errors import nearest, suggestion

if TYPE_CHECKING:
    from normlab.catalog.record import PluginRecord

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
