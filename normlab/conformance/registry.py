"""All checks, in the order in which they are run and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.conformance import (
    checks_batch,
    checks_declaration,
    checks_gradients,
    checks_isolation,
    checks_learning,
    checks_reference,
    checks_state,
    checks_steps,
    checks_traits,
    checks_values,
)
from normlab.conformance.check import Check
from normlab.errors import SpecError
from normlab.names import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from normlab.norm import Norm

#: Those that tell what is wrong in the simplest terms come first.
_MODULES: tuple[ModuleType, ...] = (
    checks_declaration,
    checks_traits,
    checks_values,
    checks_isolation,
    checks_batch,
    checks_state,
    checks_gradients,
    checks_reference,
    checks_steps,
    checks_learning,
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
