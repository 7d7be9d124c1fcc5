"""Checks of how a method is registered: what it says of itself, its schema, its file. None of them needs MXNet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from normlab.catalog import signature
from normlab.conformance.check import REGISTERED, CheckFailed, check, expectations, require
from normlab.conformance.import_cost import MILLISECONDS, import_cost
from normlab.conformance.subjects.places import WHOLE, channels, defaults, places
from normlab.errors import suggestion
from normlab.norms.contract import Norm
from normlab.norms.ways import WAYS, NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight

_BASES = dict(zip(WAYS, (NormLayer, NormWeight, NormResidual, NormInitialize, NormGradient, NormProject)))
_PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+|https?://\S+")


@check(WHOLE)
def tells_what_it_is(norm: Norm) -> None:
    """It has a title or a docstring, a formula, and, if it cites anybody, where to find the paper."""
    require(norm.summary, "it says nothing of itself; give Norm(title=...) or the class a docstring")
    require(norm.formula, "it has no formula; give Norm(formula=...), the equation as text")
    require(norm.provenance in {"confirmed", "unconfirmed"}, f"provenance {norm.provenance!r} is no word for it")
    if norm.paper or norm.authors or norm.venue or norm.year:
        good = _PAPER.fullmatch(norm.paper)
        require(good, f"paper {norm.paper!r} can't be found by that; write arXiv:..., doi:... or an address")


@check(WHOLE)
def constructs_from_defaults(norm: Norm) -> None:
    """Every parameter has a default that its own type allows, so that `norm: NAME` is a spec."""
    refusal = _refusal(norm, {})
    require(not refusal, refusal)
    values = defaults(norm)
    refusal = _refusal(norm, values)
    require(not refusal, refusal)
    for place in places(norm)[1:]:
        if place.way in {"layer", "weight", "residual"}:
            channels(norm, place)
        else:
            factory = getattr(norm, place.way)
            factory(**signature.accepted(factory, values))


@check(WHOLE)
def parameters_fit_in_a_spec(norm: Norm) -> None:
    """Every default can be written in a spec file and is the same when it is read from there."""
    for name, value in defaults(norm).items():
        refusal = _refusal(norm, {name: _as_read(name, value)})
        require(not refusal, refusal)


def _as_read(name: str, value: Any) -> Any:
    """A value after it was written to a file and read again."""
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_written))
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckFailed(f"{name}: its default can't be written in a spec: {error}") from None


def _written(part: Any) -> dict[str, Any]:
    """A part within a part, as a spec file has it."""
    return {"name": part.name, **part.parameters}


@check(WHOLE)
def refuses_bad_parameters(norm: Norm) -> None:
    """A parameter that is unknown, or of a type that makes no sense, is refused by its name."""
    for name in [*defaults(norm), "no_such_parameter"]:
        refusal = _refusal(norm, {name: object()})
        require(refusal, f"{name} takes anything; give it a type")
        require(name in refusal, f"{name} is refused without being named: {refusal}")


@check(WHOLE)
def explains_its_parameters(norm: Norm) -> None:
    """Every parameter is explained under `Args:` in the docstring of its class."""
    for parameter in signature.describe(norm.factories):
        require(parameter.description, f"{parameter.name} is not explained; add it to `Args:` in the class's docstring")


@check(WHOLE)
def expects_failures_by_name(norm: Norm) -> None:
    """Each failure that it expects is of a check that exists, and has its reason."""
    for name, reason in expectations(norm).items():
        require(name in REGISTERED, f"{name!r} is no check{suggestion(name, REGISTERED)}")
        require(reason.strip(), f"{name!r} has no reason")


@check(WHOLE, when=lambda norm: bool(norm.source.file))
def imports_without_mxnet(norm: Norm) -> None:
    """Its file is imported within 50 ms and without MXNet, since that happens each time methods are listed."""
    module = norm.factories[0].__module__
    name = "" if module.startswith("normlab_plugin_file_") else module
    cost = import_cost(name, norm.source.file)
    require(not cost.loads_mxnet, "importing it loads MXNet; use the F that hybrid_forward gets")
    require(cost.milliseconds < MILLISECONDS, f"importing it takes {cost.milliseconds:.0f} ms of the processor")


@check(WHOLE)
def has_methods_of_its_ways(norm: Norm) -> None:
    """What it registers for a way is a class of that way, with the function that does the work."""
    for way in WAYS:
        factory = getattr(norm, way)
        if factory is None:
            continue
        base: type = _BASES[way]
        require(
            isinstance(factory, type) and issubclass(factory, base), f"{way}: expected a class from {base.__name__}"
        )
        work = "hybrid_forward" if hasattr(base, "hybrid_forward") else "__call__"
        inherited = getattr(factory, work) is getattr(base, work)
        require(way == "residual" or not inherited, f"{way}: {factory.__name__} has no {work}")


def _refusal(norm: Norm, parameters: Mapping[str, Any]) -> str:
    """Why the schema refuses parameters, or "" if it takes them."""
    try:
        signature.check(norm.factories, parameters)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""
