"""Compare arrays up to rounding, and gradients with finite differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

import numpy as np
from numpy.typing import NDArray

from normlab.conformance.check import CheckFailed, require
from normlab.training.randomness import generator

#: An array of any type; float64 unless stated otherwise.
Array = NDArray[Any]

#: Difference allowed between two orders of the same float32 sums, relative to the largest number.
ROUNDING = 1e-5


def require_close(found: Array, expected: Array, message: str, *, tolerance: float = ROUNDING) -> None:
    """Require that two arrays agree up to rounding.

    Args:
        found: One array.
        expected: The other.
        message: What a difference means.
        tolerance: Difference allowed, relative to the largest number or to 1, whichever is larger.

    Raises:
        CheckFailed: They differ in shape, in where they are finite, or by more than the tolerance.
    """
    require(found.shape == expected.shape, f"{message} (shapes {found.shape} and {expected.shape})")
    finite = np.isfinite(expected)
    require(np.array_equal(finite, np.isfinite(found)), f"{message} (numbers that are not finite)")
    scale = max(1.0, float(np.abs(expected[finite]).max(initial=0)))
    difference = float(np.abs(found[finite].astype("float64") - expected[finite]).max(initial=0)) / scale
    require(difference <= tolerance, f"{message} (off by {difference:.2g})")


def require_all_close(
    found: Mapping[str, Array], expected: Mapping[str, Array], message: str, *, tolerance: float = ROUNDING
) -> None:
    """Require that arrays of the same names agree up to rounding; `{name}` in the message becomes the name."""
    for name, value in expected.items():
        require_close(found[name], value, message.format(name=name), tolerance=tolerance)


class Precision(NamedTuple):
    """What finite differences can resolve in a floating-point type.

    Attributes:
        steps: Steps of central differences. The first suits smooth functions, the smaller ones avoid kinks.
        tolerance: Error allowed, relative to the derivative along an average direction.
        unit: Relative rounding error of one number.
    """

    steps: Sequence[float]
    tolerance: float
    unit: float


DOUBLE = Precision((1e-4, 1e-5, 1e-6), 1e-6, 2.0**-53)
SINGLE = Precision((1e-2, 3e-3, 1e-3, 3e-4), 5e-3, 2.0**-24)
_DIRECTIONS = 3


def require_gradient(
    function: Callable[[Array], Array],
    point: Array,
    gradient: Array,
    cotangent: Array,
    precision: Precision,
    what: str,
) -> None:
    """Require that a gradient agrees with central differences along random directions.

    A correct gradient agrees at one of the steps at least: at a large one unless a kink lies within it, at a small one
    as far as rounding allows. A wrong one agrees at none.

    Args:
        function: Maps an array like `point` to the output.
        point: Where the gradient is taken, float64.
        gradient: The gradient of `sum(cotangent * output)` at the point.
        cotangent: Weights of the output.
        precision: Steps and tolerance.
        what: What the gradient is with respect to, for the message.

    Raises:
        CheckFailed: They differ.
    """
    require(gradient.shape == point.shape, f"{what}: its gradient has shape {gradient.shape}, expected {point.shape}")
    random = generator(0, "conformance", "directions", what)
    for _ in range(_DIRECTIONS):
        direction = random.standard_normal(point.shape)
        claimed = float(np.sum(gradient.astype("float64") * direction))
        typical = float(np.linalg.norm(gradient) * np.linalg.norm(direction) / np.sqrt(point.size))
        for step in precision.steps:
            ahead, behind = (function(point + sign * step * direction).astype("float64") for sign in (1, -1))
            measured = float(np.sum(cotangent * (ahead - behind))) / (2 * step)
            rounding = 8 * precision.unit * float(np.linalg.norm(cotangent * ahead)) / step
            if abs(measured - claimed) <= precision.tolerance * max(typical, abs(measured)) + rounding:
                break
        else:
            raise CheckFailed(
                f"{what}: along one direction the gradient is {claimed:.6g}, finite differences give {measured:.6g}"
            )
