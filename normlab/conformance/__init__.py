"""Whether a method keeps the contract: the suite behind `normlab check`, and the same as tests of an author's own.

An author may help it, in the class of a way. `reference(self, x, parameters, training)` computes the method in NumPy,
from activations `(N, C, ...)` and the values of all parameters and states by name, float64; it gives the output, or the
output and a dictionary of new states. The check `matches_reference` then holds the method against it, also where the
variance is like epsilon. `expected_failures`, of the class or of the `Norm`, maps the names of checks that the method
fails by its nature to the reasons; one of them that passes is a failure.

Names are imported when they are first used: what else is in this package does without MXNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.importing import on_first_use

if TYPE_CHECKING:
    from normlab.conformance.check import Check, CheckFailed, Outcome
    from normlab.conformance.pytest_support import parametrize_with_checks
    from normlab.conformance.suite import CHECKS, check_norm

__all__ = ["CHECKS", "Check", "CheckFailed", "Outcome", "check_norm", "parametrize_with_checks"]

#: Where the names are that are imported on first use.
_HOMES = {
    "CHECKS": "normlab.conformance.suite",
    "Check": "normlab.conformance.check",
    "CheckFailed": "normlab.conformance.check",
    "Outcome": "normlab.conformance.check",
    "check_norm": "normlab.conformance.suite",
    "parametrize_with_checks": "normlab.conformance.pytest_support",
}


__getattr__ = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
