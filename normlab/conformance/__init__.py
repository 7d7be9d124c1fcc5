"""The conformance suite behind `normlab check`, also for the tests of a plugin's author.

The class of a method may help the suite in two ways. `reference(self, x, parameters, training)` computes the method in
NumPy, in float64, from activations `(N, C, ...)` and the values of all parameters and states by name. It returns the
output, or the output and a dictionary of new states. The check `matches_reference` compares the method with it, also
where the variance is about as small as epsilon. `expected_failures`, an attribute of the class or of the `Norm`, maps
the names of checks that the method fails by its nature to the reasons. If such a check passes, that is a failure.

Names are imported on first use, so that importing this package does not load MXNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.importing import on_first_use

if TYPE_CHECKING:
    from normlab.conformance.check import Check, CheckFailed, Outcome
    from normlab.conformance.pytest_support import parametrize_with_checks
    from normlab.conformance.suite import CHECKS, check_norm

__all__ = ["CHECKS", "Check", "CheckFailed", "Outcome", "check_norm", "parametrize_with_checks"]

#: The module that defines each name.
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
