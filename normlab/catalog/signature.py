"""The schema of a part, derived from the signature of its factories."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, Callable, NamedTuple

import pydantic

from normlab.errors import PluginBroken
from normlab.spec.part import Part

Factories = tuple[Callable[..., Any], ...]


class Parameter(NamedTuple):
    """The description of one parameter of a part.

    Attributes:
        name: Its name, as in YAML.
        type: Its type in words, with its bounds.
        default: Its default, or `...` if it has none.
        description: Its meaning.
    """

    name: str
    type: str
    default: Any
    description: str


@cache
def schema(factories: Factories) -> type[pydantic.BaseModel]:
    """Return a pydantic model of the parameters of some factories.

    The parameters of a class are those of its constructor that are not keyword-only, since keyword-only parameters
    describe the site. The parameters of a function are its keyword-only ones.

    Raises:
        PluginBroken: A parameter has no type, or a type that can't be checked.
    """
    fields: dict[str, Any] = {}
    for factory in factories:
        for parameter in _parameters(factory):
            default = ... if parameter.default is parameter.empty else parameter.default
            fields.setdefault(parameter.name, (_hint(factory, parameter), default))
    try:
        return pydantic.create_model(
            "Parameters",
            __config__=pydantic.ConfigDict(
                extra="forbid", frozen=True, allow_inf_nan=False, strict=True, protected_namespaces=()
            ),
            **fields,
        )
    except pydantic.errors.PydanticUserError as error:
        names = ", ".join(factory.__name__ for factory in factories)
        raise PluginBroken(f"{names}: its signature can't be used as a schema: {error}") from error


def names(factory: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters that a factory takes from a spec."""
    return tuple(parameter.name for parameter in _parameters(factory))


def problem(factories: Factories) -> str:
    """Return why the signatures can't be used as a schema, or "".

    A pydantic model is built only for unusual types, because it takes a millisecond per plugin.
    """
    try:
        hints = [_hint(factory, parameter) for factory in factories for parameter in _parameters(factory)]
        if any("name" in names(factory) for factory in factories):
            return "a parameter can't be called 'name', which is the key for the name of the part in a spec"
        if not all(map(_is_plain, hints)):
            schema(factories)
    except PluginBroken as error:
        return str(error)
    return ""


def check(factories: Factories, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Validate parameters and add the defaults of those that are missing.

    Raises:
        pydantic.ValidationError: A parameter is unknown, has a wrong type or is out of bounds.
        PluginBroken: The signature can't be used as a schema.
    """
    checked = schema(factories)(**_lists_to_tuples(factories, parameters))
    return {name: getattr(checked, name) for name in type(checked).model_fields}


def accepted(factory: Callable[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the parameters that this factory takes."""
    return {parameter.name: parameters[parameter.name] for parameter in _parameters(factory)}


def build(part: Part) -> Any:
    """Build a resolved part by calling its only factory with its parameters."""
    (factory,) = part.entry.factories
    return factory(**accepted(factory, part.parameters))


def describe(factories: Factories) -> list[Parameter]:
    """Return the parameters with types, defaults and descriptions, in the order of the signatures."""
    texts: dict[str, str] = {}
    for factory in reversed(factories):
        texts.update(_read_descriptions(factory))
    result = []
    for name, field in schema(factories).model_fields.items():
        default = ... if field.is_required() else field.default
        result.append(Parameter(name, _describe_field(field), default, texts.get(name, "")))
    return result


@cache
def of(factory: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a factory; cached, because inspecting it is slow."""
    return inspect.signature(factory)


def _parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    # what the site or the network passes is of the other kind: keyword-only in constructors, positional in functions
    own = inspect.Parameter.POSITIONAL_OR_KEYWORD if inspect.isclass(factory) else inspect.Parameter.KEYWORD_ONLY
    return [parameter for parameter in of(factory).parameters.values() if parameter.kind is own]


def _hint(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    function = factory.__init__ if inspect.isclass(factory) else factory
    if parameter.annotation is parameter.empty:
        name = parameter.name
        raise PluginBroken(f"{factory.__name__}: parameter {name!r} has no type; write e.g. `{name}: float`")
    # evaluate only this annotation; those of other arguments may need imports under TYPE_CHECKING
    alone = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(alone, function.__globals__, include_extras=True)[parameter.name]
    except Exception as error:  # evaluates code of the plugin, which may raise anything
        raise PluginBroken(f"{factory.__name__}: the type of {parameter.name!r} can't be read: {error}") from error


def _is_plain(hint: Any) -> bool:
    """Return whether pydantic can certainly check a type, because it consists of simple types only."""
    if hint in (int, float, str, bool, type(None)) or typing.get_origin(hint) is typing.Literal:
        return True
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return _is_plain(arguments[0])
    plain_origin = typing.get_origin(hint) in (typing.Union, tuple, list)
    return plain_origin and all(inner is ... or _is_plain(inner) for inner in arguments)


def _lists_to_tuples(factories: Factories, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert lists to tuples where needed: YAML has no tuples, and strict validation does not accept lists."""
    tuples = {name for name, field in schema(factories).model_fields.items() if _holds_tuple(field.annotation)}
    return {
        name: tuple(value) if name in tuples and isinstance(value, list) else value
        for name, value in parameters.items()
    }


def _holds_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple or any(_holds_tuple(inner) for inner in typing.get_args(annotation))


_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def _describe_field(field: Any) -> str:
    bounds = [
        f"{word} {getattr(entry, name)}"
        for entry in field.metadata
        for name, word in _BOUNDS.items()
        if getattr(entry, name, None) is not None
    ]
    return " ".join([_describe_type(field.annotation), *bounds])


def _describe_type(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin is typing.Union:
        return " | ".join(_describe_type(argument) for argument in arguments)
    if origin in (tuple, list):
        return f"list of {_describe_type(arguments[0])}" if arguments else "list"
    if origin is typing.Annotated:
        return _describe_type(arguments[0])
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _read_descriptions(factory: Callable[..., Any]) -> dict[str, str]:
    """Return the `Args:` of Google-style docstrings of a function, or of a class and its bases."""
    found: dict[str, str] = {}
    for one in reversed(inspect.getmro(factory)) if inspect.isclass(factory) else (factory,):
        found.update(_parse_arguments(inspect.cleandoc(one.__doc__ or "")))
    return found


def _parse_arguments(text: str) -> dict[str, str]:
    match = re.search(r"^Args:\n((?:[ \t].*\n?|\n)*)", text, re.MULTILINE)
    if not match:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in match.group(1).splitlines():
        entry = re.match(r" {4}\*{0,2}(\w+)(?: \(.*?\))?: (.*)", line)
        if entry:
            name = entry.group(1)
            found[name] = entry.group(2)
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found
