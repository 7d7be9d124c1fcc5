"""Validate the entries that the hooks of a plugin yield, and describe errors on one line with file and line."""

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
    """Describe an exception of a plugin on one line, with the file and line of the plugin that raised it.

    Raises:
        KeyboardInterrupt: The exception is one. It is passed on, since the user wants to stop the process.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # noqa: BLE001 - the exception of a plugin may be broken too
        text = "(its message can't be read)"
    if not isinstance(error, NormlabError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    file, line = place(error)
    return f"{text} ({file}:{line})" if file else text


def place(error: BaseException) -> tuple[str, int]:
    """Return the file and line of a plugin that raised an exception; "" and 0 if no line of it had run."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    frames = [frame for frame in _frames(error.__traceback__) if not _is_machinery(frame[0])]
    if not frames:
        return "", 0
    # the innermost line in the plugin itself, not in a library that it calls
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
        hook: The hook that yields entries of this kind.
        type: Their class.
        word: The name of the kind in messages.
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

#: For each way, the required base class and the keyword arguments that the network passes to the constructor.
_BASES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "layer": (NormLayer, ("in_channels", "layout", "activation", "gamma_initializer")),
    "weight": (NormWeight, ("out_channels",)),
    "residual": (NormResidual, ("in_channels", "index", "blocks")),
    "initialize": (NormInitialize, ()),
    "gradient": (NormGradient, ()),
    "project": (NormProject, ()),
}


def given(function: Callable[[], Any], kind: Kind, source: Source) -> tuple[tuple[Any, ...], str]:
    """Call a hook of a plugin and validate its entries.

    Args:
        function: The implementation of the hook.
        kind: The kind of entries that it should yield.
        source: The source of the entries.

    Returns:
        The entries, and a description of what is wrong with them, or "".
    """
    try:
        value = function()
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
            return (), f"{kind.hook} returns {_describe(value)}; write `yield {kind.type.__name__}(...)` in it"
        entries = list(value)
        problem = next(filter(None, (unfit(entry, kind) for entry in entries)), "") or _duplicate_problem(entries, kind)
        return () if problem else tuple(replace(entry, source=source) for entry in entries), problem
    except BaseException as error:  # noqa: BLE001 - no exception of a plugin may affect others
        return (), f"{kind.hook} fails: {told(error)}"


def _duplicate_problem(entries: Sequence[Any], kind: Kind) -> str:
    names: list[str] = [entry.name for entry in entries]
    again = next((name for name in names if names.count(name) > 1), None)
    return f"{kind.hook} yields two entries with the name {again!r}; rename one" if again else ""


def unfit(entry: Any, kind: Kind) -> str:
    """Return what is wrong with an entry, or ""."""
    if not isinstance(entry, kind.type):
        return f"{kind.hook} yields {_describe(entry)}; expected {kind.type.__name__} objects"
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        return f"{kind.word} {entry.name!r}: not a valid name; expected lowercase letters, digits and '_', at most 40"
    problem = _text_problem(entry) or (_norm_problem(entry) if isinstance(entry, Norm) else _function_problem(entry))
    if not problem:
        problem = signature.problem(entry.factories)
    return f"{kind.word} {entry.name!r}: {problem}" if problem else ""


def _text_problem(entry: Any) -> str:
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.default == "" and not isinstance(value, str):
            return f"{field.name} is {_describe(value)}; expected text"
    return ""


def _norm_problem(norm: Norm) -> str:
    if not norm.ways:
        return f"has no way to act; pass Norm one of {', '.join(f'{way}=' for way in WAYS)}"
    return next(filter(None, (_way_problem(way, getattr(norm, way)) for way in norm.ways)), "")


def _way_problem(way: str, factory: Any) -> str:
    base, site = _BASES[way]
    if not inspect.isclass(factory) or not issubclass(factory, base):
        return f"{way} is {_describe(factory)}; expected a class derived from {base.__name__}"
    name, own = factory.__name__, signature.names(factory)
    taken = next((each for each in site if each in own), None)
    if taken:
        return f"{name} has a parameter {taken!r}, which the network passes; leave it to **site"
    if not _accepts(factory, (), (*own, *site)):
        return f"{name} does not take what the network passes: {', '.join(site)}; end its parameters with **site"
    return ""


def _function_problem(entry: Any) -> str:
    """Check `build(sites, shape, classes, *, ...)` of a network, or `load(*, ...)` of a data set."""
    (function,) = entry.factories
    positional = ("sites", "shape", "classes") if isinstance(entry, Model) else ()
    if not callable(function):
        return f"{_describe(function)} is not a function"
    if not _accepts(function, positional, signature.names(function)):
        return f"{_describe(function)} does not take the arguments ({', '.join((*positional, '*', '...'))})"
    return ""


def _accepts(function: Callable[..., Any], positional: Sequence[str], keywords: Sequence[str]) -> bool:
    try:
        signature.of(function).bind(*positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def _describe(value: Any) -> str:
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"the {'class' if inspect.isclass(value) else 'function'} {value.__name__}"
    return "None" if value is None else f"an object of type {type(value).__name__}"
