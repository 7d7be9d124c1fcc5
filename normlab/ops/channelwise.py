"""Statistics, scales and shifts of channels, from the few MXNet operators whose backward pass is fast on a CPU.

The backward passes of MXNet's `broadcast_*`, `mean` and `sum` are slow; that of its BatchNorm operator (oneDNN) is
fast. The functions here use that operator to standardize, scale and shift, but not its running statistics, which it
would update in the backward pass.
"""

from __future__ import annotations

from math import prod
from typing import Any

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import constant

#: The smallest epsilon that the BatchNorm operator accepts on a GPU. With a variance of 1 - epsilon, it divides by 1.
UNIT_EPSILON = 1e-5


def batch_standardize(F: Any, x: Any, gamma: Any, beta: Any, channels: int, epsilon: float) -> tuple[Any, Any, Any]:
    """Standardize each channel over the batch and all positions, then scale and shift.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.
        epsilon: Added to the variance, inside the root.

    Returns:
        y of x's shape, and mean and variance, `(C,)` each, without gradient.
    """
    scratch_mean = constant(F, x, 0.0, channels, scratch=True)
    scratch_var = constant(F, x, 1.0, channels, scratch=True)
    y, mean, inverse_std = training_batch_norm(
        F, x, gamma, beta, scratch_mean, scratch_var, eps=epsilon, output_mean_var=True
    )
    # the operator returns 1 / sqrt(variance + epsilon); a variance that rounding makes negative is 0
    variance = F.relu(1.0 / F.square(inverse_std) - epsilon)
    return y, F.BlockGrad(mean), F.BlockGrad(variance)


def table_standardize(F: Any, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Standardize each column of a table over its rows, then scale and shift: `batch_standardize` for many rows.

    The BatchNorm operator reads columns with a stride. On 55,000 rows it takes more than twice as long as this
    function, but on the few rows of a training step a fifth.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        epsilon: Added to the variance, inside the root.

    Returns:
        y of x's shape.
    """
    ones = ones_for_rows(F, x)
    centered = F.broadcast_sub(x, mean_of_rows(F, x, ones))
    variance = mean_of_rows(F, F.square(centered), ones)
    scale = F.rsqrt(variance + epsilon) * F.expand_dims(gamma, axis=0)
    return F.broadcast_add(F.broadcast_mul(centered, scale), F.expand_dims(beta, axis=0))


def ones_for_rows(F: Any, x: Any) -> Any:
    """Return a 1 for each row of a table, `(N, 1)`."""
    return F.ones_like(F.BlockGrad(F.slice_axis(x, axis=1, begin=0, end=1)))


def mean_of_rows(F: Any, x: Any, ones: Any = None) -> Any:
    """Return the mean of the rows of a table, `(1, C)`, by a product with ones, which is faster than MXNet's `mean`.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C)`.
        ones: `ones_for_rows` of a table of as many rows, if already computed.
    """
    ones = ones_for_rows(F, x) if ones is None else ones
    return F.broadcast_div(F.dot(ones, x, transpose_a=True), F.sum(ones))


def standardize_with(F: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    """Standardize each channel with given statistics: gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        mean: `(C,)`, an unchanged state: the operator does not accept computed values.
        variance: `(C,)`, likewise an unchanged state.
        epsilon: Added to the variance, inside the root.

    Returns:
        y of x's shape.
    """
    return F.BatchNorm(
        x, gamma, beta, mean, variance, eps=epsilon, momentum=1.0, fix_gamma=False, use_global_stats=True, axis=1
    )


def scale_shift(F: Any, x: Any, gamma: Any, beta: Any, channels: int) -> Any:
    """Multiply each channel by gamma and add beta, either of which may be computed.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.

    Returns:
        gamma x + beta, of x's shape.
    """
    # MXNet takes the mean for something that the operator writes to, so no other operator may use it
    mean = constant(F, x, 0.0, channels, scratch=True)
    return center_scale_shift(F, x, mean, gamma, beta, channels)


def center_scale_shift(F: Any, x: Any, mean: Any, gamma: Any, beta: Any, channels: int) -> Any:
    """Subtract a given mean from each channel, multiply by gamma and add beta, either of which may be computed.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        mean: `(C,)`, an unchanged state: the operator does not accept computed values.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.

    Returns:
        gamma (x - mean) + beta, of x's shape.
    """
    variance = constant(F, x, 1.0 - UNIT_EPSILON, channels, scratch=True)
    return standardize_with(F, x, gamma, beta, mean, variance, UNIT_EPSILON)


def values_per_channel(F: Any, x: Any) -> Any:
    """Return the number of values of a channel in the batch, N times the positions, as `(1,)` of x's type."""
    # computed from the shape before the graph runs: an operator that reads x would first copy it to the plain layout
    return constant(F, x, lambda shape: float(prod(shape) // shape[1]))


def moving_average(running: Any, found: Any, keep: float) -> Any:
    """Return a running statistic after a step: keep running + (1 - keep) found.

    Args:
        running: The statistic before the step.
        found: The statistic of the step, of the same shape.
        keep: The share of `running` that is kept.
    """
    # the same bits as by a sum, for which MXNet calls oneDNN, which takes 0.02 ms more to start
    return keep * running - (keep - 1) * found


def unbiased_variance(F: Any, x: Any, variance: Any) -> Any:
    """Return the unbiased variance of each channel: m / (m - 1) times the biased one for m values, 0 for one value.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: The activations, `(N, C, ...)`.
        variance: The biased variance over the batch and all positions, `(C,)`.
    """
    return F.broadcast_mul(variance, constant(F, x, _unbiased_factor))


def _unbiased_factor(shape: tuple[int, ...]) -> float:
    values = prod(shape) // shape[1]
    return values / max(values - 1, 1)


def reshape_back(F: Any, y: Any, x: Any) -> Any:
    """Reshape y like x, by a copy.

    In a graph, MXNet's reshape passes the gradient on in place. If a convolution follows, that gradient is in oneDNN's
    own layout, and the operator before the reshape fails or misreads it. The backward pass of `swapaxes` writes the
    gradient to a new array in the plain layout, even if an axis is swapped with itself.

    Args:
        F: `mx.nd` or `mx.sym`.
        y: As many values as x, in x's order.
        x: The array or symbol with the shape.
    """
    return F.swapaxes(F.reshape_like(y, x), dim1=0, dim2=0)


def training_batch_norm(F: Any, *inputs: Any, **options: Any) -> Any:
    """Apply the BatchNorm operator with the statistics of its data, in any mode.

    Args:
        F: `mx.nd` or `mx.sym`.
        *inputs: Data, gamma, beta, and two vectors that the operator writes to.
        **options: Further attributes of the operator.
    """
    mx = mxnet()
    if F is mx.ndarray:
        # the operator uses batch statistics in MXNet's training mode only
        with mx.autograd.train_mode():
            return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
    return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
