"""Statistics over the channels at each position.

A convolution with a 1 x 1 kernel, or a dense layer for tables, sums over channels, or broadcasts one plane to all
channels, in the time of reading the data once, forward and backward; `mean` and `broadcast_*` take ten times as long.
"""

from __future__ import annotations

from math import prod
from typing import Any

from normlab.backend.tracing import constant
from normlab.ops.channelwise import reshape_back, training_batch_norm


def as_planes(F: Any, x: Any, layout: str) -> Any:
    """Return activations `(N, C, ...)` as `(N, C)` for `NC`, `(N, C, H, W)` for `NCHW`, else `(N, C, 1, positions)`."""
    # The output of a convolution is in oneDNN's own layout. A reshape converts it to the plain one, even if the shape
    # stays, and is free if it is plain already; without it, each operator that follows would convert it again.
    if layout == "NC":
        return x
    if layout == "NCHW":
        return F.reshape(x, shape=(0, 0, 0, 0))
    return F.expand_dims(F.reshape(x, shape=(0, 0, -1)), axis=2)


def from_planes(F: Any, y: Any, x: Any, layout: str) -> Any:
    """Return the result of a computation on `as_planes` in x's shape."""
    return y if layout in ("NC", "NCHW") else reshape_back(F, y, x)


def channel_mean(F: Any, planes: Any, channels: int, layout: str, first: int | None = None) -> Any:
    """Return the mean over channels at each position.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: Activations from `as_planes`.
        channels: C.
        layout: The layout of the activations.
        first: Number of channels, from the first, to take the mean over; by default all.

    Returns:
        A plane for each example: `(N, 1)` for `NC`, `(N, 1, H, W)` for `NCHW`, else `(N, 1, 1, positions)`.
    """
    first = first or channels
    weight = constant(F, planes, 1.0 / first, first)
    if first < channels:
        weight = F.concat(weight, constant(F, planes, 0.0, channels - first), dim=0)
    return _product(F, planes, weight, (1, -1), 1, layout)


def channel_variance(F: Any, planes: Any, channels: int, layout: str) -> Any:
    """Return the biased variance of the channels at each position, in the shape of `channel_mean`.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: Activations from `as_planes`.
        channels: C.
        layout: The layout of the activations.
    """
    # The mean needs no gradient here: the mean of squares is smallest about the mean, so its derivative by it is 0.
    # A product with ones repeats the mean in the plain layout, in which the subtraction is fast.
    mean = channel_mean(F, F.BlockGrad(planes), channels, layout)
    if layout == "NC":
        repeated = broadcast_plane(F, mean, constant(F, planes, 1.0, channels), channels, layout)
    else:
        column = F.reshape(constant(F, planes, 1.0, channels, per_example=True), shape=(-1, channels, 1))
        repeated = F.reshape_like(F.batch_dot(column, F.reshape(mean, shape=(0, 0, -1))), F.BlockGrad(planes))
    return channel_mean(F, F.square(planes - repeated), channels, layout)


def broadcast_plane(F: Any, plane: Any, scale: Any, channels: int, layout: str) -> Any:
    """Repeat a plane for all channels, multiplied by a scale for each channel.

    Args:
        F: `mx.nd` or `mx.sym`.
        plane: A plane for each example, as from `channel_mean`.
        scale: `(C,)`.
        channels: C.
        layout: The layout of the activations.

    Returns:
        Planes of the shape of `as_planes`.
    """
    return _product(F, plane, scale, (-1, 1), channels, layout)


def channel_standardize(F: Any, x: Any, channels: int, epsilon: float, layout: str = "") -> Any:
    """Standardize the channels at each position: (x - mean) / sqrt(variance + epsilon), with the biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        channels: C.
        epsilon: Added to the variance, inside the root.
        layout: The layout, which saves a copy if it is `NCHW`.

    Returns:
        y of x's shape.
    """
    # positions are laid out as the channels of the operator, whose vectors then have an element for each position
    inner = layout == "NCHW"
    positions = F.transpose(x if inner else as_planes(F, x, layout), axes=(0, 2, 3, 1))
    rows = F.reshape(positions, shape=(1, -1, channels))

    def vector(fill: float, *, scratch: bool = False) -> Any:
        return constant(F, x, fill, lambda shape: prod(shape) // channels, scratch=scratch)

    mean, variance = vector(0.0, scratch=True), vector(1.0, scratch=True)
    y = training_batch_norm(F, rows, vector(1.0), vector(0.0), mean, variance, eps=epsilon)
    y = F.transpose(F.reshape_like(y, positions), axes=(0, 3, 1, 2))
    # a reshape must not be last if a convolution can follow: see `normlab.ops.reshape_back`
    return y if inner else reshape_back(F, y, x)


def _product(F: Any, x: Any, weight: Any, shape: tuple[int, int], count: int, layout: str) -> Any:
    """Return the product of a weight of this shape with the channels at each position: `count` channels."""
    if layout == "NC":
        return F.FullyConnected(x, F.reshape(weight, shape=shape), no_bias=True, num_hidden=count)
    return F.Convolution(x, F.reshape(weight, shape=(*shape, 1, 1)), no_bias=True, num_filter=count, kernel=(1, 1))
