"""The methods that `normlab bench` is asked for, with their parameters, as the command line writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from normlab.catalog.signature import check, names, schema
from normlab.conformance.subjects.cost_subjects import Asked
from normlab.errors import SpecError, suggestion
from normlab.spec.document import Document
from normlab.spec.part import OnePart, Part
from normlab.spec.problems import problems
from normlab.spec.values import in_line
from normlab.spec.yaml import compose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from normlab.catalog import Catalog
    from normlab.norms.contract import Norm

#: What methods are always seen beside.
ALWAYS = ("none", "batch")


def chosen(found: Catalog, methods: Sequence[str], settings: Sequence[str], *, every: bool) -> list[Asked]:
    """Those that are always there, those named, and with `every` all others, by their defaults.

    Args:
        found: The catalogue.
        methods: Names, or mappings of name and parameters in YAML.
        settings: `key=value`, for every method that has such a parameter.
        every: Whether to add all others.

    Raises:
        SpecError: There is no such method, or a parameter is unfit, or nothing has it.
    """
    shared = Document.of({}, "-s")
    for setting in settings:
        shared = shared.with_override(setting)
    given = [_named(found, text, shared.data) for text in methods]
    taken = {*ALWAYS, *(each.norm.name for each in given)}
    others = [name for name in found.norms.entries if every and name not in taken]
    before, after = (
        [_asked(found.norms.entries[name], {}, shared.data) for name in those] for those in (ALWAYS, others)
    )
    asked = [*before, *given, *after]
    _check_used(shared.data, asked)
    return list({each.label: each for each in asked}.values())


def _named(found: Catalog, text: str, shared: Mapping[str, Any]) -> Asked:
    """A method as a spec has it: a name, or a mapping of name and parameters."""
    written = compose(text, text, lines=False).plain()
    try:
        part: Part = TypeAdapter(OnePart).validate_python(written)
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, Document.of({"norm": written}, text), ("norm",)))) from None
    norm = found.norms.get(part.name)
    asked = _asked(norm, part.parameters, shared)
    try:
        check(norm.factories, asked.parameters)
    except ValidationError as error:
        document = Document.of({"norm": {"name": norm.name, **asked.parameters}}, text)
        lines = problems(error, document, ("norm",), schema(norm.factories).model_json_schema())
        raise SpecError("\n".join(lines)) from None
    return asked


def _asked(norm: Norm, own: Mapping[str, Any], shared: Mapping[str, Any]) -> Asked:
    accepted = _accepted(norm)
    parameters = {**{key: value for key, value in shared.items() if key in accepted}, **own}
    label = ", ".join([norm.name, *(f"{key}: {in_line(value)}" for key, value in parameters.items())])
    return Asked(label, norm, parameters)


def _accepted(norm: Norm) -> set[str]:
    return {name for factory in norm.factories for name in names(factory)}


def _check_used(shared: Mapping[str, Any], asked: Sequence[Asked]) -> None:
    known = {name for each in asked for name in _accepted(each.norm)}
    for key in shared:
        if key not in known:
            raise SpecError(f"-s {key}: none of these methods has such a parameter{suggestion(key, sorted(known))}")
