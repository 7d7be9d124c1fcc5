"""Report validation errors of a spec, one line each, with the position in the file and what was expected.

What was expected comes from the JSON Schema of the model, in words: `a whole number above 0 or 'all'`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.spec.document import Document
from normlab.spec.node import Path, Place
from normlab.spec.values import in_line
from normlab.spec.words import brief, listed, nearest, shown

if TYPE_CHECKING:
    from pydantic import ValidationError


Schema = Mapping[str, Any]

_BOUNDS = (
    ("exclusiveMinimum", "above"),
    ("minimum", "of at least"),
    ("exclusiveMaximum", "below"),
    ("maximum", "of at most"),
)
_KINDS = {"boolean": "true or false", "object": "a mapping"}


def at(schema: Schema, location: Path) -> Schema:
    """Return the schema of the setting at a location in a model; steps that the schema does not have are skipped."""
    here = schema
    for step in location:
        found = (below for branch in _branches(schema, here) for below in _below(branch, step))
        here = next(found, here)
    return here


def keys_of(schema: Schema, location: Path) -> list[str]:
    """Return the keys that the mapping at a location can have."""
    branches = _branches(schema, at(schema, location))
    return [key for branch in branches for key in branch.get("properties", {})]


def phrase(schema: Schema, location: Path) -> str:
    """Describe the values that the setting at a location accepts, except null; "" if the schema does not say."""
    branches = list(_branches(schema, at(schema, location)))
    kinds = dict.fromkeys(_describe(schema, branch) for branch in branches if branch.get("type") != "null")
    return listed(kind for kind in kinds if kind) if any(kinds) else ""


def _branches(schema: Schema, here: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, with references resolved."""
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


def _describe(schema: Schema, branch: Schema) -> str:
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
        return f"{noun} from {_format_bound(branch['minimum'])} to {_format_bound(branch['maximum'])}"
    bounds = [f"{word} {_format_bound(branch[bound])}" for bound, word in _BOUNDS if bound in branch]
    return " ".join((noun, " and ".join(bounds))) if bounds else noun


def _format_bound(bound: float) -> str:
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


MOST_LINES = 20
"""Maximum number of mistakes in one message; the rest is counted."""

_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
# mistakes that are explained from the schema; for all others, the message of the error itself is used
_BY_SCHEMA = (
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "int_from_float"),
    *("literal_error", "enum", "too_short", "too_long"),
    *("string_pattern_mismatch", "string_too_short", "string_too_long"),
)


class _Problem(NamedTuple):
    place: Place
    path: Path
    location: Path
    kind: str
    details: Mapping[str, Any]


def problems(
    error: ValidationError,
    document: Document,
    prefix: Path = (),
    schema: Mapping[str, Any] | None = None,
    earlier: Sequence[str] = (),
) -> list[str]:
    """Return one line for each validation error, in the order of the document.

    Args:
        error: The error that pydantic raised.
        document: The validated settings, or a document that contains them.
        prefix: Location of the validated settings in the models of the spec, e.g. `("norm", 0)` for the parameters of
            the first norm, in whatever form the document has it.
        schema: JSON Schema of the model (`Model.model_json_schema()`), from which the known keys and the expected
            values are read. Without it, the messages of pydantic are used.
        earlier: Lines for mistakes that were found earlier; they come first.

    Returns:
        At most 20 lines, then a line with the number of the others.
    """
    found: dict[tuple[Path, str], _Problem] = {}
    for details in error.errors(include_url=False):
        problem = _locate(details, document, prefix)
        found.setdefault((problem.path, problem.kind), problem)
    ordered = sorted(found.values(), key=lambda problem: _order(problem.place))
    lines = [*earlier, *(_line(problem, schema or {}) for problem in ordered[:MOST_LINES])][:MOST_LINES]
    rest = len(earlier) + len(ordered) - len(lines)
    return [*lines, f"... and {rest} more"] if rest else lines


def _locate(details: Mapping[str, Any], document: Document, prefix: Path) -> _Problem:
    location, kind = details["loc"], details["type"]
    if kind in _MISSING:
        block = document.resolve((*prefix, *location[:-1]))
        return _Problem(document.place(block), (*block, location[-1]), location, "missing", details)
    path = document.resolve((*prefix, *location))
    if kind in _UNKNOWN:
        return _Problem(document.key_place(path), path, location, "unknown", details)
    if kind in _BY_SCHEMA or kind.endswith("_type"):
        return _Problem(document.place(path), path, location, "invalid", details)
    return _Problem(document.place(path), path, location, kind, details)


def _order(place: Place) -> tuple[str, int, int]:
    return place.source, place.line or 0, place.column or 0


def _line(problem: _Problem, schema: Mapping[str, Any]) -> str:
    name = ".".join(brief(str(step)) for step in problem.path)
    where = f"{problem.place}: {name}" if name else str(problem.place)
    return f"{where}: {_message(problem, schema)}"


def _message(problem: _Problem, schema: Mapping[str, Any]) -> str:
    if problem.kind == "missing":
        return _missing(problem, schema)
    if problem.kind == "unknown":
        return _unknown(str(problem.location[-1]), keys_of(schema, problem.location[:-1]))
    value = problem.details["input"]
    expected = phrase(schema, problem.location)
    if problem.kind == "invalid" and expected:
        return f"expected {expected}, got {shown(value)}{_advice(value, expected)}"
    message = brief(problem.details["msg"], longest=200)
    if problem.kind == "normlab":
        return message
    for start, instead in (("Value error, ", ""), ("Assertion failed, ", ""), ("Input should be ", "expected ")):
        message = instead + message[len(start) :] if message.startswith(start) else message
    return f"{message}, got {shown(value)}"


def _missing(problem: _Problem, schema: Mapping[str, Any]) -> str:
    key = str(problem.location[-1])
    examples = at(schema, problem.location).get("examples")
    return f"missing; add '{brief(key)}: {in_line(examples[0]) if examples else '...'}'"


def _unknown(key: str, choices: list[str]) -> str:
    near = nearest(key, choices)
    if near:
        return f"unknown key; did you mean '{near}'?"
    return f"unknown key; expected {listed(choices)}" if choices else "unknown key; expected none; remove it"


def _advice(value: Any, expected: str) -> str:
    """Suggest what to write instead of a value that YAML 1.1 or Python would have accepted."""
    if expected.startswith("a whole number") and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    if expected == "true or false" and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        return f"; write {'true' if value.lower() in ('yes', 'on') else 'false'}"
    if "number" in expected and isinstance(value, str) and _is_number(value):
        return "; write it without quotes" if "_" not in value else "; write it without '_'"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
