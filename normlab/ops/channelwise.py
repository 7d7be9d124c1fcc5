"""Fast building blocks for norms, from the few MXNet operators whose backward pass is fast on a CPU.

MXNet's `broadcast_*`, `mean` and `sum` are slow backwards; its BatchNorm operator (oneDNN) is not. Here that operator
standardizes and applies scale and shift, without its own running statistics, which it would update in the backward
pass. All functions take `F` (`mx.nd` or `mx.sym`) and work in both, in training and in prediction.
"""

from __future__ import annotations

from math import prod
from typing import Any

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import constant

#: The BatchNorm operator refuses less on a GPU. With a variance of 1 less this, it divides by 1.
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
        y of x's shape, and mean and variance, `(C,)` each, through which no gradient flows.
    """
    scratch_mean = constant(F, x, 0.0, channels, scratch=True)
    scratch_var = constant(F, x, 1.0, channels, scratch=True)
    y, mean, inverse_std = training_batch_norm(
        F, x, gamma, beta, scratch_mean, scratch_var, eps=epsilon, output_mean_var=True
    )
    # the operator gives 1 / sqrt(variance + epsilon); what rounding makes negative is a variance of 0
    variance = F.relu(1.0 / F.square(inverse_std) - epsilon)
    return y, F.BlockGrad(mean), F.BlockGrad(variance)


def table_standardize(F: Any, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Standardize each column of a table over its rows, then scale and shift: `batch_standardize` for many rows.

    The BatchNorm operator reads columns with a stride: on 55,000 rows it takes more than twice as long as this, on the
    few of a training step a fifth.

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
    """A 1 for each row of a table, `(N, 1)`."""
    return F.ones_like(F.BlockGrad(F.slice_axis(x, axis=1, begin=0, end=1)))


def mean_of_rows(F: Any, x: Any, ones: Any = None) -> Any:
    """The mean of the rows of a table, `(1, C)`, by a product with ones, which is much faster than MXNet's `mean`.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C)`.
        ones: `ones_for_rows` of a table of as many rows, where it is at hand.
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
        mean: `(C,)`, a declared state as it is: the operator takes no computed values.
        variance: `(C,)`, likewise.
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
    # MXNet counts it among what the operator writes to, so no other operator may have it as an argument
    mean = constant(F, x, 0.0, channels, scratch=True)
    return center_scale_shift(F, x, mean, gamma, beta, channels)


def center_scale_shift(F: Any, x: Any, mean: Any, gamma: Any, beta: Any, channels: int) -> Any:
    """Take a given mean from each channel, multiply by gamma and add beta, either of which may be computed.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        mean: `(C,)`, a declared state as it is: the operator takes no computed values.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.

    Returns:
        gamma (x - mean) + beta, of x's shape.
    """
    variance = constant(F, x, 1.0 - UNIT_EPSILON, channels, scratch=True)
    return standardize_with(F, x, gamma, beta, mean, variance, UNIT_EPSILON)


def values_per_channel(F: Any, x: Any) -> Any:
    """How many values each channel has in the batch, N times the positions, as `(1,)` of x's type."""
    # counted from the shape before the graph runs: an operator that reads x would bring it into the plain layout first
    return constant(F, x, lambda shape: float(prod(shape) // shape[1]))


def moving_average(running: Any, found: Any, keep: float) -> Any:
    """A running statistic after a step: keep running + (1 - keep) found.

    Args:
        running: An array or symbol.
        found: What this step found, of the same shape.
        keep: The share that is kept.
    """
    # the same number as by the sum, which goes by oneDNN and takes 0.02 ms longer to start
    return keep * running - (keep - 1) * found


def unbiased_variance(F: Any, x: Any, variance: Any) -> Any:
    """The unbiased estimate of each channel's variance, m / (m - 1) times the biased one for m values; for one value 0.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: What was standardized, `(N, C, ...)`.
        variance: The biased variance over the batch and all positions, `(C,)`.
    """
    return F.broadcast_mul(variance, constant(F, x, _unbiasing))


def _unbiasing(shape: tuple[int, ...]) -> float:
    values = prod(shape) // shape[1]
    return values / max(values - 1, 1)


def reshape_back(F: Any, y: Any, x: Any) -> Any:
    """Give y the shape of x again, by a copy.

    In a graph MXNet's reshape hands the gradient on in place. Where a convolution follows, that gradient is in
    oneDNN's own layout, and the operator before the reshape fails on it or takes it for what it is not. The backward
    pass of an exchange of axes writes it anew, in the plain layout, even of an axis with itself.

    Args:
        F: `mx.nd` or `mx.sym`.
        y: As many values as x, in x's order.
        x: What has the shape.
    """
    return F.swapaxes(F.reshape_like(y, x), dim1=0, dim2=0)


def training_batch_norm(F: Any, *inputs: Any, **options: Any) -> Any:
    """The BatchNorm operator on statistics of what it is fed, whatever the mode.

    Args:
        F: `mx.nd` or `mx.sym`.
        *inputs: Data, gamma, beta, and two vectors that it writes to.
        **options: Further attributes of the operator.
    """
    mx = mxnet()
    if F is mx.ndarray:
        # the operator takes batch statistics in MXNet's training mode only
        with mx.autograd.train_mode():
            return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
    return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
