"""Fast building blocks for norms whose examples have statistics of their own or share them with some others.

What groups of examples share is algebra on `(N, C)`, by a product with a small matrix. All functions take `F` (`mx.nd`
or `mx.sym`) and work in both, in training and in prediction.
"""

from __future__ import annotations

from typing import Any

from normlab.kernels import scale_shift
from normlab.moment_kernels import Moments, position_moments
from normlab.row_kernels import example_scale_shift


def example_moments(F: Any, x: Any, channels: int, layout: str) -> Moments:
    """Mean and biased variance of each channel of each example over all positions, `(N, C)` each; x `(N, C, ...)`."""
    return Moments(x, F.zeros_like(x)) if layout == "NC" else position_moments(F, x, channels)


def standardize_examples(
    F: Any, x: Any, of: Moments, gamma: Any, beta: Any, channels: int, epsilon: float, layout: str
) -> Any:
    """Standardize each channel of each example by moments of its own, then scale and shift.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        of: Moments that may be computed, `(N, C)` each.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.
        epsilon: Added to the variance, inside the root.
        layout: `NC`, or one with positions.

    Returns:
        gamma (x - mean) / sqrt(variance + epsilon) + beta, of x's shape.
    """
    scale = scale_shift(F, F.rsqrt(of.variance + epsilon), gamma, F.zeros_like(beta), channels)
    shift = scale_shift(F, -of.mean * scale, F.ones_like(gamma), beta, channels)
    return x * scale + shift if layout == "NC" else example_scale_shift(F, x, scale, shift, channels)


def examples(F: Any, x: Any) -> tuple[Any, Any]:
    """The number of each example, from 0, `(N,)`, and how many there are, `(1,)`, as numbers of x's type."""
    index = F.BlockGrad(F.contrib.arange_like(x, axis=0))
    return index, F.slice_axis(index, axis=0, begin=-1, end=None) + 1


def shared_moments(F: Any, of: Moments, shares: Any) -> Moments:
    """Moments that examples share, from those of each.

    Args:
        F: `mx.nd` or `mx.sym`.
        of: Moments of each example, `(N, C)` each.
        shares: By how much each example counts for which: rows that sum to 1, `(M, N)`, where M is 1 or N.

    Returns:
        `(M, C)` each.
    """
    mean = F.dot(shares, of.mean)
    distance = F.square(F.broadcast_sub(of.mean, mean))
    return Moments(mean, F.dot(shares, of.variance + distance))
