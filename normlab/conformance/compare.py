"""Whether two arrays are the same but for rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normlab.conformance.check import require

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
