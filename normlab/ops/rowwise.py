"""Statistics of single examples, of groups of their channels, or of the units of a weight.

Values with common statistics are laid out as a row, and rows as the channels of a batch of one, `(1, rows, values)`,
which MXNet's BatchNorm operator standardizes at the usual speed, forward and backward.
"""

from __future__ import annotations

from typing import Any

from normlab.backend.tracing import constant
from normlab.ops.channelwise import UNIT_EPSILON, reshape_back, standardize_with, training_batch_norm


def group_standardize(
    F: Any,
    x: Any,
    groups: int,
    epsilon: float,
    gamma: Any = None,
    beta: Any = None,
    *,
    stays_plain: bool = False,
) -> Any:
    """Standardize each group of adjacent channels of each example over its channels and all positions.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance. As many groups as channels are
    instance normalization; one group is layer normalization over the whole example.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        groups: Number of groups, which divides C.
        epsilon: Added to the variance, inside the root.
        gamma: `(groups,)`, by default 1.
        beta: `(groups,)`, given with gamma, by default 0.
        stays_plain: Whether no operator follows whose gradient is in oneDNN's own layout, which saves a copy.

    Returns:
        y of x's shape.
    """
    rows = F.reshape(F.reshape(x, shape=(0, -4, groups, -1, -2)), shape=(-3, -1))
    if gamma is None:
        each = [constant(F, x, fill, groups, per_example=True) for fill in (1.0, 0.0)]
    else:
        ones = F.reshape(constant(F, x, 1.0, groups, per_example=True), shape=(-1, groups))
        each = [F.reshape(F.broadcast_mul(ones, F.expand_dims(v, axis=0)), shape=(-1,)) for v in (gamma, beta)]
    mean, variance = _statistics(F, x, groups, 1.0, per_example=True)
    y = training_batch_norm(F, F.expand_dims(rows, axis=0), *each, mean, variance, eps=epsilon)
    return F.reshape_like(y, x) if stays_plain else reshape_back(F, y, x)


def unit_standardize(F: Any, weight: Any, units: int, epsilon: float) -> Any:
    """Standardize the weights of each output unit: (weight - mean) / sqrt(variance + epsilon), with biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        weight: `(units, ...)`.
        units: Number of output units.
        epsilon: Added to the variance, inside the root.

    Returns:
        A weight of the same shape.
    """
    rows = F.expand_dims(F.reshape(weight, shape=(0, -1)), axis=0)
    ones, zeros = (constant(F, weight, fill, units) for fill in (1.0, 0.0))
    mean, variance = _statistics(F, weight, units, 1.0, per_example=False)
    return reshape_back(F, training_batch_norm(F, rows, ones, zeros, mean, variance, eps=epsilon), weight)


def example_scale_shift(F: Any, x: Any, scale: Any, shift: Any, channels: int) -> Any:
    """Multiply each channel of each example by a scale and add a shift, both of which may be computed.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        scale: `(N, C)`.
        shift: `(N, C)`.
        channels: C.

    Returns:
        scale x + shift, of x's shape.
    """
    rows = F.reshape(x, shape=(-3, -1))
    return _scale_shift(F, rows, x, scale, shift, channels, per_example=True)


def unit_scale_shift(F: Any, weight: Any, scale: Any, shift: Any, units: int) -> Any:
    """Multiply the weights of each output unit by a scale and add a shift, both of which may be computed.

    Args:
        F: `mx.nd` or `mx.sym`.
        weight: `(units, ...)`.
        scale: `(units,)`.
        shift: `(units,)`.
        units: Number of output units.

    Returns:
        scale weight + shift, of the weight's shape.
    """
    rows = F.reshape(weight, shape=(0, -1))
    return _scale_shift(F, rows, weight, scale, shift, units, per_example=False)


def position_mean(F: Any, x: Any, channels: int) -> Any:
    """Return the mean of each channel of each example over all positions.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        channels: C.

    Returns:
        `(N, C)`.
    """
    return F.reshape(row_mean(F, F.reshape(x, shape=(-3, -1))), shape=(-1, channels))


def position_sum(F: Any, x: Any, channels: int) -> Any:
    """Return the sum of each channel of each example over all positions, `(N, C)`; x `(N, C, ...)`."""
    return F.reshape(_row_sums(F, F.reshape(x, shape=(-3, -1)))[0], shape=(-1, channels))


def ones_of_row(F: Any, rows: Any) -> Any:
    """Return a 1 for each value of a row, `(1, values)`; rows `(rows, values)`."""
    return F.ones_like(F.BlockGrad(F.slice_axis(rows, axis=0, begin=0, end=1)))


def row_mean(F: Any, rows: Any) -> Any:
    """Return the mean of each row, `(rows, 1)`; rows `(rows, values)`."""
    sums, count = _row_sums(F, rows)
    return F.broadcast_div(sums, count)


def unit_sum(F: Any, weight: Any) -> tuple[Any, Any]:
    """Return the sum of the weights of each unit, `(units,)`, and their number, `(1,)`; weight `(units, ...)`."""
    sums, count = _row_sums(F, F.reshape(weight, shape=(0, -1)))
    return F.reshape(sums, shape=(-1,)), count


def _row_sums(F: Any, rows: Any) -> tuple[Any, Any]:
    """Return the sum of each row, `(rows, 1)`, and the row length, by a product with ones, faster than `sum`."""
    ones = ones_of_row(F, rows)
    sums = F.FullyConnected(rows, ones, no_bias=True, num_hidden=1)
    return sums, F.sum(ones, axis=1)


def _scale_shift(F: Any, rows: Any, like: Any, scale: Any, shift: Any, count: int, *, per_example: bool) -> Any:
    mean, variance = _statistics(F, like, count, 1.0 - UNIT_EPSILON, per_example=per_example)
    scale, shift = (F.reshape(value, shape=(-1,)) for value in (scale, shift))
    y = standardize_with(F, F.expand_dims(rows, axis=0), scale, shift, mean, variance, UNIT_EPSILON)
    return reshape_back(F, y, like)


def _statistics(F: Any, like: Any, count: int, variance: float, *, per_example: bool) -> list[Any]:
    """Return a mean of 0 and a variance for each row, as scratch vectors, because the operator may write to them."""
    return [constant(F, like, fill, count, per_example=per_example, scratch=True) for fill in (0.0, variance)]
