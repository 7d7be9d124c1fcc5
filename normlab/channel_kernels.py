"""Fast building blocks for norms whose statistics are taken over the channels, at each position on its own.

A convolution with a 1 x 1 kernel sums over channels, and spreads one plane over channels, at the speed of reading the
data once, forwards and backwards; `mean` and `broadcast_*` take ten times as long. All functions take `F` (`mx.nd` or
`mx.sym`) and work in both, in training and in prediction.
"""

from __future__ import annotations

from typing import Any

from normlab.kernels import shaped_back
from normlab.norm_state import constant


def as_planes(F: Any, x: Any) -> Any:
    """Activations `(N, C, ...)` with their positions as one axis, `(N, C, 1, positions)`."""
    return F.expand_dims(F.reshape(x, shape=(0, 0, -1)), axis=2)


def channel_mean(F: Any, planes: Any, channels: int, first: int | None = None) -> Any:
    """The mean over channels at each position.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: `(N, C, 1, positions)`.
        channels: C.
        first: How many channels count, the first ones; all if not given.

    Returns:
        `(N, 1, 1, positions)`.
    """
    first = first or channels
    weight = constant(F, planes, 1.0 / first, first)
    if first < channels:
        weight = F.concat(weight, constant(F, planes, 0.0, channels - first), dim=0)
    weight = F.reshape(weight, shape=(1, -1, 1, 1))
    return F.Convolution(planes, weight, no_bias=True, num_filter=1, kernel=(1, 1))


def spread(F: Any, plane: Any, scale: Any, channels: int) -> Any:
    """What is the same for all channels, times a scale for each channel.

    Args:
        F: `mx.nd` or `mx.sym`.
        plane: `(N, 1, 1, positions)`.
        scale: `(C,)`.
        channels: C.

    Returns:
        `(N, C, 1, positions)`.
    """
    weight = F.reshape(scale, shape=(-1, 1, 1, 1))
    return F.Convolution(plane, weight, no_bias=True, num_filter=channels, kernel=(1, 1))


def channel_standardize(F: Any, x: Any, channels: int, epsilon: float) -> Any:
    """Standardize the channels at each position: (x - mean) / sqrt(variance + epsilon), with the biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        channels: C.
        epsilon: Added to the variance, inside the root.

    Returns:
        y of x's shape.
    """
    planes = as_planes(F, x)
    ones = constant(F, x, 1.0, channels)
    centered = planes - spread(F, channel_mean(F, planes, channels), ones, channels)
    variance = channel_mean(F, F.square(centered), channels)
    y = centered * spread(F, F.rsqrt(variance + epsilon), ones, channels)
    return shaped_back(F, y, x, axis=1)
