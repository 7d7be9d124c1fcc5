"""Compare arrays up to rounding, and gradients with finite differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

import numpy as np
from numpy.typing import NDArray

from normlab.conformance.check import CheckFailed, require
from normlab.training.randomness import generator

#: Arrays of any type, float64 where nothing else is said.
Array = NDArray[Any]

#: Difference allowed between two orders of the same float32 sums, as a share of the largest number.
ROUNDING = 1e-5


def close(found: Array, expected: Array, message: str, *, tolerance: float = ROUNDING) -> None:
    """Require that arrays agree but for rounding.

    Args:
        found: One array.
        expected: The other.
        message: What it means if they don't.
        tolerance: Difference allowed, as a share of the largest number, or of 1 if that is more.

    Raises:
        CheckFailed: They differ by more, in shape, or in where they are not finite.
    """
    require(found.shape == expected.shape, f"{message} (shapes {found.shape} and {expected.shape})")
    finite = np.isfinite(expected)
    require(np.array_equal(finite, np.isfinite(found)), f"{message} (numbers that are not finite)")
    scale = max(1.0, float(np.abs(expected[finite]).max(initial=0)))
    difference = float(np.abs(found[finite].astype("float64") - expected[finite]).max(initial=0)) / scale
    require(difference <= tolerance, f"{message} (off by {difference:.2g})")


def all_close(
    found: Mapping[str, Array], expected: Mapping[str, Array], message: str, *, tolerance: float = ROUNDING
) -> None:
    """Require that arrays of the same names agree but for rounding; `message` has a place for `{name}`."""
    for name, value in expected.items():
        close(found[name], value, message.format(name=name), tolerance=tolerance)


_DIRECTIONS = 3


class Precision(NamedTuple):
    """How finely a type resolves.

    Attributes:
        steps: Steps of central differences; the first suits smooth functions, the smaller ones avoid kinks.
        tolerance: Error allowed, as a share of the derivative along an average direction.
        unit: Relative rounding error of one number.
    """

    steps: Sequence[float]
    tolerance: float
    unit: float


DOUBLE = Precision((1e-4, 1e-5, 1e-6), 1e-6, 2.0**-53)
SINGLE = Precision((1e-2, 3e-3, 1e-3, 3e-4), 5e-3, 2.0**-24)


def agree(
    function: Callable[[Array], Array],
    point: Array,
    gradient: Array,
    cotangent: Array,
    precision: Precision,
    what: str,
) -> None:
    """Hold a gradient against central differences along random directions.

    A right gradient agrees at one of the steps: at a large one unless a kink lies within it, at a small one as far as
    rounding lets it. A wrong one agrees at none.

    Args:
        function: From an array like `point` to the output.
        point: Where, float64.
        gradient: The gradient of `sum(cotangent * output)` there.
        cotangent: Weights of the output.
        precision: Steps and tolerance.
        what: What the gradient is of, for the message.

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
            raise CheckFailed(f"{what}: along a direction the gradient says {claimed:.6g}, differences {measured:.6g}")
