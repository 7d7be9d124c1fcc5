"""Fast building blocks for norms whose statistics are taken over the channels, at each position on its own.

A convolution with a 1 x 1 kernel, or a dense layer in tables, sums over channels, and spreads one plane over channels,
at the speed of reading the data once, forwards and backwards; `mean` and `broadcast_*` take ten times as long. All
functions take `F` (`mx.nd` or `mx.sym`) and work in both, in training and in prediction.
"""

from __future__ import annotations

from math import prod
from typing import Any

from normlab.backend.tracing import constant
from normlab.ops.channelwise import reshape_back, training_batch_norm


def as_planes(F: Any, x: Any, layout: str) -> Any:
    """Activations `(N, C, ...)` in the plain layout: `(N, C)` of `NC`, `(N, C, H, W)` of `NCHW`, else with one row."""
    # What comes from a convolution is in oneDNN's own layout. A reshape brings it into the plain one, even to the shape
    # that it has, and costs nothing where it is plain; without it each operator that follows would do so for itself.
    if layout == "NC":
        return x
    if layout == "NCHW":
        return F.reshape(x, shape=(0, 0, 0, 0))
    return F.expand_dims(F.reshape(x, shape=(0, 0, -1)), axis=2)


def from_planes(F: Any, y: Any, x: Any, layout: str) -> Any:
    """Give what was computed of `as_planes` x's shape again."""
    return y if layout in ("NC", "NCHW") else reshape_back(F, y, x)


def channel_mean(F: Any, planes: Any, channels: int, layout: str, first: int | None = None) -> Any:
    """The mean over channels at each position.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: What `as_planes` gave.
        channels: C.
        layout: That of the activations.
        first: How many channels count, the first ones; all if not given.

    Returns:
        A plane for each example: `(N, 1)` of `NC`, `(N, 1, H, W)` of `NCHW`, else `(N, 1, 1, positions)`.
    """
    first = first or channels
    weight = constant(F, planes, 1.0 / first, first)
    if first < channels:
        weight = F.concat(weight, constant(F, planes, 0.0, channels - first), dim=0)
    return _product(F, planes, weight, (1, -1), 1, layout)


def channel_variance(F: Any, planes: Any, channels: int, layout: str) -> Any:
    """The biased variance of the channels at each position, a plane for each example as `channel_mean` gives it.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: What `as_planes` gave.
        channels: C.
        layout: That of the activations.
    """
    # What is taken off needs no gradient: about the mean the mean of squares is least, so that it does not change with
    # it. A product with ones spreads the mean in the plain layout, which subtraction wants.
    mean = channel_mean(F, F.BlockGrad(planes), channels, layout)
    if layout == "NC":
        repeated = broadcast_plane(F, mean, constant(F, planes, 1.0, channels), channels, layout)
    else:
        column = F.reshape(constant(F, planes, 1.0, channels, per_example=True), shape=(-1, channels, 1))
        repeated = F.reshape_like(F.batch_dot(column, F.reshape(mean, shape=(0, 0, -1))), F.BlockGrad(planes))
    return channel_mean(F, F.square(planes - repeated), channels, layout)


def broadcast_plane(F: Any, plane: Any, scale: Any, channels: int, layout: str) -> Any:
    """What is the same for all channels, times a scale for each channel.

    Args:
        F: `mx.nd` or `mx.sym`.
        plane: One for each example, as `channel_mean` gives it.
        scale: `(C,)`.
        channels: C.
        layout: That of the activations.

    Returns:
        As many values as `as_planes` gives, in its shape.
    """
    return _product(F, plane, scale, (-1, 1), channels, layout)


def channel_standardize(F: Any, x: Any, channels: int, epsilon: float, layout: str = "") -> Any:
    """Standardize the channels at each position: (x - mean) / sqrt(variance + epsilon), with the biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        channels: C.
        epsilon: Added to the variance, inside the root.
        layout: `NCHW` spares a copy.

    Returns:
        y of x's shape.
    """
    # what is a position becomes what is a channel to the operator; its vectors have an element a position
    inner = layout == "NCHW"
    positions = F.transpose(x if inner else as_planes(F, x, layout), axes=(0, 2, 3, 1))
    rows = F.reshape(positions, shape=(1, -1, channels))

    def vector(fill: float, *, scratch: bool = False) -> Any:
        return constant(F, x, fill, lambda shape: prod(shape) // channels, scratch=scratch)

    mean, variance = vector(0.0, scratch=True), vector(1.0, scratch=True)
    y = training_batch_norm(F, rows, vector(1.0), vector(0.0), mean, variance, eps=epsilon)
    y = F.transpose(F.reshape_like(y, positions), axes=(0, 3, 1, 2))
    # no reshape may come last where a convolution can follow in four axes: see `normlab.ops.channelwise.reshape_back`
    return y if inner else reshape_back(F, y, x)


def _product(F: Any, x: Any, weight: Any, shape: tuple[int, int], count: int, layout: str) -> Any:
    """At each position, the product of a weight of this shape with the channels: `count` channels."""
    if layout == "NC":
        return F.FullyConnected(x, F.reshape(weight, shape=shape), no_bias=True, num_hidden=count)
    return F.Convolution(x, F.reshape(weight, shape=(*shape, 1, 1)), no_bias=True, num_filter=count, kernel=(1, 1))
