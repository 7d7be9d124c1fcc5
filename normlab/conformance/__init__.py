"""Whether a method keeps the contract: the suite behind `normlab check`, and the same as tests of an author's own.

An author may help it, in the class of a way. `reference(self, x, parameters, training)` computes the method in NumPy,
from activations `(N, C, ...)` and the values of all parameters and states by name, float64; it gives the output, or the
output and a dictionary of new states. The check `matches_reference` then holds the method against it, also where the
variance is like epsilon. `expected_failures`, of the class or of the `Norm`, maps the names of checks that the method
fails by its nature to the reasons; one of them that passes is a failure.

Names are imported when they are first used: what else is in this package does without MXNet.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normlab.conformance.check import Check, CheckFailed, Outcome
    from normlab.conformance.pytest_support import parametrize_with_checks
    from normlab.conformance.registry import CHECKS
    from normlab.conformance.runner import check_norm

__all__ = ["CHECKS", "Check", "CheckFailed", "Outcome", "check_norm", "parametrize_with_checks"]

#: Where the names are that are imported on first use.
_HOMES = {
    "CHECKS": "registry",
    "Check": "check",
    "CheckFailed": "check",
    "Outcome": "check",
    "check_norm": "runner",
    "parametrize_with_checks": "pytest_support",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'normlab.conformance' has no attribute {name!r}")
    return getattr(import_module(f"normlab.conformance.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
