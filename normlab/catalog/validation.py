"""Validate what a plugin's hooks give, and describe what is wrong in one line with its place in the plugin."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, NamedTuple

from normlab.catalog import signature
from normlab.catalog.hookspecs import DataSource, Model
from normlab.errors import NAME, NormlabError
from normlab.norms.contract import Norm, Source
from normlab.norms.ways import WAYS, NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight

_HERE = str(Path(__file__).parent)


def told(error: BaseException) -> str:
    """An exception of a plugin in one line, with the line of the plugin where it arose.

    Raises:
        KeyboardInterrupt: It is one: the person wants an end, which is no fault of a plugin's.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # noqa: BLE001 - a plugin's exception may be broken too
        text = "(it can't be told as text)"
    if not isinstance(error, NormlabError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    file, line = place(error)
    return f"{text} ({file}:{line})" if file else text


def place(error: BaseException) -> tuple[str, int]:
    """File and line of a plugin where an exception arose; "" and 0 if it arose before any of its lines ran."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    frames = [frame for frame in _frames(error.__traceback__) if not _is_machinery(frame[0])]
    if not frames:
        return "", 0
    # the deepest line of the plugin's own, not of a library that it calls
    own = Path(frames[0][0]).parent
    return [frame for frame in frames if own == Path(frame[0]).parent][-1]


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _is_machinery(file: str) -> bool:
    return file.startswith(("<frozen", _HERE)) or "importlib" in Path(file).parts


class Kind(NamedTuple):
    """A kind of entry.

    Attributes:
        hook: The hook that yields such entries.
        type: Their class.
        word: What one is called.
        listing: The command that lists them.
    """

    hook: str
    type: type[Any]
    word: str
    listing: str


KINDS = (
    Kind("normlab_norms", Norm, "norm", "normlab norms"),
    Kind("normlab_models", Model, "model", "normlab models"),
    Kind("normlab_datasets", DataSource, "data set", "normlab data"),
)

#: The class that each way's class has to be derived from, and what the network tells its constructor by keyword.
_BASES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "layer": (NormLayer, ("in_channels", "layout", "activation", "gamma_initializer")),
    "weight": (NormWeight, ("out_channels",)),
    "residual": (NormResidual, ("in_channels", "index", "blocks")),
    "initialize": (NormInitialize, ()),
    "gradient": (NormGradient, ()),
    "project": (NormProject, ()),
}


def given(function: Callable[[], Any], kind: Kind, source: Source) -> tuple[tuple[Any, ...], str]:
    """Call a plugin's hook.

    Args:
        function: The hook's implementation.
        kind: What it should yield.
        source: Where that comes from.

    Returns:
        What it gives, and what is wrong with that, or "".
    """
    try:
        value = function()
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
            return (), f"{kind.hook} gives {_shown(value)}; write `yield {kind.type.__name__}(...)` in it"
        entries = list(value)
        problem = next(filter(None, (unfit(entry, kind) for entry in entries)), "") or _twice(entries, kind)
        return () if problem else tuple(replace(entry, source=source) for entry in entries), problem
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises must cost only itself
        return (), f"{kind.hook} fails: {told(error)}"


def _twice(entries: Sequence[Any], kind: Kind) -> str:
    names: list[str] = [entry.name for entry in entries]
    again = next((name for name in names if names.count(name) > 1), None)
    return f"{kind.hook} yields two entries of name {again!r}; rename one" if again else ""


def unfit(entry: Any, kind: Kind) -> str:
    """What is wrong with an entry, or ""."""
    if not isinstance(entry, kind.type):
        return f"{kind.hook} yields {_shown(entry)}; expected {kind.type.__name__} objects"
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        return f"{kind.word} {entry.name!r}: not a name; expected small letters, digits and '_', at most 40"
    problem = _text_problem(entry) or (_norm_problem(entry) if isinstance(entry, Norm) else _function_problem(entry))
    if not problem:
        problem = signature.problem(entry.factories)
    return f"{kind.word} {entry.name!r}: {problem}" if problem else ""


def _text_problem(entry: Any) -> str:
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.default == "" and not isinstance(value, str):
            return f"{field.name} is {_shown(value)}; expected text"
    return ""


def _norm_problem(norm: Norm) -> str:
    if not norm.ways:
        return f"acts in no way; give Norm one of {', '.join(f'{way}=' for way in WAYS)}"
    return next(filter(None, (_way_problem(way, getattr(norm, way)) for way in norm.ways)), "")


def _way_problem(way: str, factory: Any) -> str:
    base, site = _BASES[way]
    if not inspect.isclass(factory) or not issubclass(factory, base):
        return f"{way} is {_shown(factory)}; expected a class derived from {base.__name__}"
    name, own = factory.__name__, signature.names(factory)
    taken = next((each for each in site if each in own), None)
    if taken:
        return f"{name} has a parameter {taken!r}, which the network tells; leave it to **site"
    if not _takes(factory, (), (*own, *site)):
        return f"{name} does not take what the network tells: {', '.join(site)}; end its parameters with **site"
    return ""


def _function_problem(entry: Any) -> str:
    """Of a network `build(sites, shape, classes, *, ...)`, of a data set `load(*, ...)`."""
    (function,) = entry.factories
    positional = ("sites", "shape", "classes") if isinstance(entry, Model) else ()
    if not callable(function):
        return f"{_shown(function)} is no function"
    if not _takes(function, positional, signature.names(function)):
        return f"{_shown(function)} has other arguments than ({', '.join((*positional, '*', '...'))})"
    return ""


def _takes(function: Callable[..., Any], positional: Sequence[str], keywords: Sequence[str]) -> bool:
    try:
        signature.of(function).bind(*positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def _shown(value: Any) -> str:
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"the {'class' if inspect.isclass(value) else 'function'} {value.__name__}"
    return "None" if value is None else f"an object of type {type(value).__name__}"
