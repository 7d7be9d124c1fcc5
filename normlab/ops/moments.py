"""Means and variances with gradients, for methods that mix statistics or divide without centering.

All moments are computed from those of each channel of each example, `(N, C)`, which are small.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from normlab.ops.channelwise import scale_shift
from normlab.ops.rowwise import example_scale_shift, ones_of_row, row_mean


class Moments(NamedTuple):
    """Mean and biased variance.

    Attributes:
        mean: `(N, C)` or `(C,)`.
        variance: Of the same shape.
    """

    mean: Any
    variance: Any


def position_moments(F: Any, x: Any, channels: int) -> Moments:
    """Return mean and biased variance of each channel of each example over all positions, `(N, C)` each.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        channels: C.
    """
    rows = F.reshape(x, shape=(-3, -1))
    mean = row_mean(F, rows)
    # the mean needs no gradient here: the mean of squares is smallest about the mean, so its derivative by it is 0
    centered = rows - F.BlockGrad(F.dot(mean, ones_of_row(F, rows)))
    variance = row_mean(F, F.square(centered))
    return Moments(F.reshape(mean, shape=(-1, channels)), F.reshape(variance, shape=(-1, channels)))


def group_moments(F: Any, of: Moments, groups: int) -> Moments:
    """Return moments of each group of adjacent channels of each example, `(N, C)` each, from those of the channels.

    Args:
        F: `mx.nd` or `mx.sym`.
        of: Moments from `position_moments`.
        groups: Number of groups, which divides C; 1 for all of an example.
    """
    mean = group_mean(F, of.mean, groups)
    return Moments(mean, group_mean(F, of.variance + F.square(of.mean - mean), groups))


def group_mean(F: Any, values: Any, groups: int) -> Any:
    """Return the mean of values `(N, C)` over each group of adjacent channels, repeated for its channels, `(N, C)`."""
    grouped = F.reshape(values, shape=(0, -4, groups, -1))
    mean = F.mean(grouped, axis=2, keepdims=True)
    return F.reshape(F.broadcast_like(mean, grouped), shape=(0, -3))


def batch_moments(F: Any, of: Moments) -> Moments:
    """Return moments of each channel over the batch and all positions, `(C,)` each, from those of each example.

    Args:
        F: `mx.nd` or `mx.sym`.
        of: Moments from `position_moments`.
    """
    mean = F.mean(of.mean, axis=0)
    between = F.square(F.broadcast_sub(of.mean, F.expand_dims(mean, axis=0)))
    return Moments(mean, F.mean(of.variance + between, axis=0))


def repeat_for_examples(F: Any, values: Any, like: Any) -> Any:
    """Repeat values of channels, `(C,)`, for each example, `(N, C)` as `like`."""
    return F.broadcast_like(F.expand_dims(values, axis=0), like)


def example_moments(F: Any, x: Any, channels: int, layout: str) -> Moments:
    """Return mean and biased variance of each channel of each example, `(N, C)` each; x `(N, C, ...)` in any layout."""
    return Moments(x, F.zeros_like(x)) if layout == "NC" else position_moments(F, x, channels)


def standardize_examples(
    F: Any, x: Any, of: Moments, gamma: Any, beta: Any, channels: int, epsilon: float, layout: str
) -> Any:
    """Standardize each channel of each example by its own moments, then scale and shift.

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


def number_examples(F: Any, x: Any) -> tuple[Any, Any]:
    """Return the index of each example, from 0, `(N,)`, and their number, `(1,)`, in x's type."""
    index = F.BlockGrad(F.contrib.arange_like(x, axis=0))
    return index, F.slice_axis(index, axis=0, begin=-1, end=None) + 1


def shared_moments(F: Any, of: Moments, shares: Any) -> Moments:
    """Return weighted moments over examples, from those of each.

    Args:
        F: `mx.nd` or `mx.sym`.
        of: Moments of each example, `(N, C)` each.
        shares: The weights of the examples in rows that sum to 1, `(M, N)`, where M is 1 or N.

    Returns:
        `(M, C)` each.
    """
    mean = F.dot(shares, of.mean)
    distance = F.square(F.broadcast_sub(of.mean, mean))
    return Moments(mean, F.dot(shares, of.variance + distance))
