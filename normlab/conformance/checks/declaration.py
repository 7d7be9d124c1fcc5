"""Check how a method is registered: its description, its schema, its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from normlab.catalog import signature
from normlab.conformance.check import REGISTERED, CheckFailed, check, collect_expected_failures, require
from normlab.conformance.import_cost import MILLISECONDS, import_cost
from normlab.conformance.subjects.places import WHOLE, default_parameters, find_channels, find_places
from normlab.errors import suggestion
from normlab.norms.contract import Norm
from normlab.norms.ways import WAYS, NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight

_BASES = dict(zip(WAYS, (NormLayer, NormWeight, NormResidual, NormInitialize, NormGradient, NormProject)))
_PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+|https?://\S+")


@check(WHOLE)
def tells_what_it_is(norm: Norm) -> None:
    """It has a title or a docstring, a formula, and, if it cites somebody, a reference to the paper."""
    require(norm.summary, "it has no description; pass Norm(title=...) or give the class a docstring")
    require(norm.formula, "it has no formula; pass Norm(formula=...), the equation as text")
    require(
        norm.provenance in {"confirmed", "unconfirmed"},
        f"provenance is {norm.provenance!r}; expected 'confirmed' or 'unconfirmed'",
    )
    if norm.paper or norm.authors or norm.venue or norm.year:
        good = _PAPER.fullmatch(norm.paper)
        require(good, f"paper {norm.paper!r} is not a reference; write arXiv:..., doi:... or an address")


@check(WHOLE)
def constructs_from_defaults(norm: Norm) -> None:
    """Every parameter has a default that its own type allows, so that `norm: NAME` is a spec."""
    refusal = _refusal(norm, {})
    require(not refusal, refusal)
    values = default_parameters(norm)
    refusal = _refusal(norm, values)
    require(not refusal, refusal)
    for place in find_places(norm)[1:]:
        if place.way in {"layer", "weight", "residual"}:
            find_channels(norm, place)
        else:
            factory = getattr(norm, place.way)
            factory(**signature.accepted(factory, values))


@check(WHOLE)
def parameters_fit_in_a_spec(norm: Norm) -> None:
    """Every default can be written to a spec file and read back unchanged."""
    for name, value in default_parameters(norm).items():
        refusal = _refusal(norm, {name: _as_read(name, value)})
        require(not refusal, refusal)


def _as_read(name: str, value: Any) -> Any:
    """Return a value as it is after writing it to a file and reading it back."""
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_written))
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckFailed(f"{name}: its default cannot be written to a spec: {error}") from None


def _written(part: Any) -> dict[str, Any]:
    """Return a part within a part as a spec file contains it."""
    return {"name": part.name, **part.parameters}


@check(WHOLE)
def refuses_bad_parameters(norm: Norm) -> None:
    """An unknown parameter or a value of a wrong type is refused with the name of the parameter."""
    for name in [*default_parameters(norm), "no_such_parameter"]:
        refusal = _refusal(norm, {name: object()})
        require(refusal, f"{name} accepts any value; give it a type")
        require(name in refusal, f"the message that refuses {name} does not name it: {refusal}")


@check(WHOLE)
def explains_its_parameters(norm: Norm) -> None:
    """Every parameter is described under `Args:` in the docstring of its class."""
    for parameter in signature.describe(norm.factories):
        require(parameter.description, f"{parameter.name} is not described; add it to `Args:` in the class's docstring")


@check(WHOLE)
def expects_failures_by_name(norm: Norm) -> None:
    """Each expected failure names an existing check and gives a reason."""
    for name, reason in collect_expected_failures(norm).items():
        require(name in REGISTERED, f"{name!r} is not a check{suggestion(name, REGISTERED)}")
        require(reason.strip(), f"{name!r} has no reason")


@check(WHOLE, when=lambda norm: bool(norm.source.file))
def imports_without_mxnet(norm: Norm) -> None:
    """Its file imports within 50 ms and without MXNet, since listing methods imports it."""
    module = norm.factories[0].__module__
    name = "" if module.startswith("normlab_plugin_file_") else module
    cost = import_cost(name, norm.source.file)
    require(not cost.loads_mxnet, "importing it loads MXNet; use the argument F of hybrid_forward")
    require(
        cost.milliseconds < MILLISECONDS,
        f"importing it takes {cost.milliseconds:.0f} ms of processor time, more than {MILLISECONDS}",
    )


@check(WHOLE)
def has_methods_of_its_ways(norm: Norm) -> None:
    """What it registers for a way is a subclass of that way's base class and implements its method."""
    for way in WAYS:
        factory = getattr(norm, way)
        if factory is None:
            continue
        base: type = _BASES[way]
        require(
            isinstance(factory, type) and issubclass(factory, base), f"{way}: expected a subclass of {base.__name__}"
        )
        work = "hybrid_forward" if hasattr(base, "hybrid_forward") else "__call__"
        inherited = getattr(factory, work) is getattr(base, work)
        require(way == "residual" or not inherited, f"{way}: {factory.__name__} has no {work}")


def _refusal(norm: Norm, parameters: Mapping[str, Any]) -> str:
    """Return why the schema refuses parameters, or "" if it accepts them."""
    try:
        signature.check(norm.factories, parameters)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""
