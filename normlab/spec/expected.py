"""What a setting may hold, read from a JSON Schema and said in words: `a whole number above 0 or 'all'`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from normlab.spec.words import listed, shown

if TYPE_CHECKING:
    from normlab.spec.node import Path

Schema = Mapping[str, Any]

_BOUNDS = (
    ("exclusiveMinimum", "above"),
    ("minimum", "of at least"),
    ("exclusiveMaximum", "below"),
    ("maximum", "of at most"),
)
_KINDS = {"boolean": "true or false", "object": "a mapping"}


def at(schema: Schema, location: Path) -> Schema:
    """Find the schema of the setting at a location in a model; steps that are not in it are passed over."""
    here = schema
    for step in location:
        found = (below for branch in _branches(schema, here) for below in _below(branch, step))
        here = next(found, here)
    return here


def keys_of(schema: Schema, location: Path) -> list[str]:
    """List the keys that the mapping at a location may have."""
    branches = _branches(schema, at(schema, location))
    return [key for branch in branches for key in branch.get("properties", {})]


def phrase(schema: Schema, location: Path) -> str:
    """Say what the setting at a location may hold, except null; empty if the schema does not tell."""
    branches = list(_branches(schema, at(schema, location)))
    kinds = dict.fromkeys(_phrase(schema, branch) for branch in branches if branch.get("type") != "null")
    return listed(kind for kind in kinds if kind) if any(kinds) else ""


def _branches(schema: Schema, here: Schema) -> Iterator[Schema]:
    """Follow references and go through alternatives."""
    if "$ref" in here:
        here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
    alternatives = here.get("anyOf", here.get("oneOf"))
    if alternatives is None:
        yield here
    for branch in alternatives or ():
        yield from _branches(schema, branch)


def _below(branch: Schema, step: str | int) -> Iterator[Schema]:
    if isinstance(step, str):
        if step in branch.get("properties", {}):
            yield branch["properties"][step]
        elif isinstance(branch.get("additionalProperties"), Mapping):
            yield branch["additionalProperties"]
        return
    first = branch.get("prefixItems", [])
    if step < len(first):
        yield first[step]
    elif isinstance(branch.get("items"), Mapping):
        yield branch["items"]


def _phrase(schema: Schema, branch: Schema) -> str:
    if "const" in branch:
        return shown(branch["const"])
    if "enum" in branch:
        return listed(shown(value) for value in branch["enum"])
    kind = branch.get("type")
    if kind in ("integer", "number"):
        return _number("a whole number" if kind == "integer" else "a number", branch)
    if kind == "string":
        return _text(branch)
    if kind == "array":
        return _list(schema, branch)
    return _KINDS.get(str(kind), "")


def _text(branch: Schema) -> str:
    if "pattern" in branch:
        return f"text of the form {branch['pattern']}"
    if branch.get("minLength") == 1 and "maxLength" not in branch:
        return "text that is not empty"
    count = _count(branch.get("minLength"), branch.get("maxLength"))
    return f"text{count} characters" if count else "text"


def _number(noun: str, branch: Schema) -> str:
    if "minimum" in branch and "maximum" in branch:
        return f"{noun} from {_short(branch['minimum'])} to {_short(branch['maximum'])}"
    bounds = [f"{word} {_short(branch[bound])}" for bound, word in _BOUNDS if bound in branch]
    return " ".join((noun, " and ".join(bounds))) if bounds else noun


def _short(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def _list(schema: Schema, branch: Schema) -> str:
    count = _count(branch.get("minItems"), branch.get("maxItems"))
    items = branch.get("items")
    each = phrase({**items, "$defs": schema.get("$defs", {})}, ()) if isinstance(items, Mapping) else ""
    return f"a list{count} (each {each})" if each else f"a list{count}"


def _count(least: int | None, most: int | None) -> str:
    if most is None:
        return f" of at least {least}" if least is not None else ""
    return f" of {most}" if least == most else f" of {least or 0} to {most}"
