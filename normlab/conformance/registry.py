"""All checks, in the order in which they are run and listed."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from normlab.conformance.check import Check
from normlab.conformance.checks import (
    batch,
    declaration,
    gradients,
    isolation,
    learning,
    reference,
    state,
    steps,
    traits,
    values,
)
from normlab.errors import SpecError, suggestion
from normlab.norms.contract import Norm

#: Those that tell what is wrong in the simplest terms come first.
_MODULES: tuple[ModuleType, ...] = (
    declaration,
    traits,
    values,
    isolation,
    batch,
    state,
    gradients,
    reference,
    steps,
    learning,
)

CHECKS: dict[str, Check] = {
    each.name: each for module in _MODULES for each in vars(module).values() if isinstance(each, Check)
}

#: Whoever fails this one can't be made, so that the other checks have nothing to look at.
FIRST = "constructs_from_defaults"


def chosen(names: Iterable[Any]) -> list[Check]:
    """The checks of these names, in the order of all; all of them if there are no names.

    Raises:
        SpecError: There is no check of a name.
    """
    wanted = set(names)
    for name in sorted(wanted - set(CHECKS)):
        raise SpecError(f"unknown check {name!r}{suggestion(name, CHECKS)}; `normlab check NAME` lists them")
    return [each for name, each in CHECKS.items() if not wanted or name in wanted]


def expectations(norm: Norm) -> dict[str, str]:
    """The failures that a method expects, of its own and of its classes, with the reasons."""
    found: dict[str, str] = {}
    for factory in norm.factories:
        found.update(getattr(factory, "expected_failures", {}))
    return {**found, **norm.expected_failures}
