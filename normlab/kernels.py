"""Fast building blocks for norms, from the few MXNet operators whose backward pass is fast on a CPU.

MXNet's `broadcast_*`, `mean` and `sum` are slow backwards; its BatchNorm operator (oneDNN) is not. Here that operator
standardizes and applies scale and shift, without its own running statistics, which it would update in the backward
pass. All functions take `F` (`mx.nd` or `mx.sym`) and work in both, in training and in prediction.
"""

from __future__ import annotations

from typing import Any

from normlab.compat import mxnet
from normlab.norm_state import constant

#: The BatchNorm operator refuses less on a GPU. It cancels against the variance of `scale_shift`.
_EPSILON = 1e-5


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
    y, mean, inverse_std = _training_batch_norm(
        F, x, gamma, beta, scratch_mean, scratch_var, eps=epsilon, output_mean_var=True
    )
    # the operator gives 1 / sqrt(variance + epsilon); what rounding makes negative is a variance of 0
    variance = F.relu(1.0 / F.square(inverse_std) - epsilon)
    return y, F.BlockGrad(mean), F.BlockGrad(variance)


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
    mean = constant(F, x, 0.0, channels)
    variance = constant(F, x, 1.0 - _EPSILON, channels)
    return standardize_with(F, x, gamma, beta, mean, variance, _EPSILON)


def values_per_channel(F: Any, x: Any, channels: int) -> Any:
    """How many values each channel has in the batch, N times the positions, as a float32 vector of shape `(1,)`."""
    return F.cast(F.size_array(x), dtype="float32") / channels


def _training_batch_norm(F: Any, *inputs: Any, **options: Any) -> Any:
    mx = mxnet()
    if F is mx.ndarray:
        # the operator takes batch statistics in MXNet's training mode only
        with mx.autograd.train_mode():
            return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
    return F.BatchNorm(*inputs, momentum=1.0, fix_gamma=False, axis=1, **options)
