"""Cross-iteration batch normalization (Yao, Cao, Zheng, Huang and Lin, CVPR 2021, arXiv:2002.05712), section 3.

    y = gamma (x - mean) / sqrt(var + epsilon) + beta,   var = square - mean^2
    mean = mean over s of m_s,   square = mean over s of max(q_s, m_s^2),   s = this step and the k - 1 before
    m_s = mean_s + <d mean_s / d W_s, W - W_s>,   q_s = square_s + <d square_s / d W_s, W - W_s>

mean_s and square_s are means of x and x^2 over the batch of step s and all positions, for each channel. They were
computed with the weight W_s that the layer right before the site had then, so a Taylor polynomial of first order brings
them to its weight W of today. Of the derivatives only those of a channel by its own weights are taken: they are means
of the layer's input. Steps before, and W in the polynomials, are constants to the gradient, as in the authors' code; so
the gradient of a weight has a part along it, where that of batch normalization has none. In prediction the running
statistics stand for mean and var.

Conventions: `window` is k; the authors' code counts the steps before this one, 3 in its settings. They let the window
begin after a burn-in, of 8 training steps in their settings; each batch is on its own until then. The Taylor polynomial
can give q_s < m_s^2, which is no statistic: the paper raises q_s to m_s^2, their code leaves the step out, as
`impossible` says. Their code has epsilon outside the root by default, `epsilon_inside` chooses. Running statistics
follow the batch's own mean and unbiased variance, as there; `momentum` is the share that is kept. In the burn-in their
code divides by the root of the unbiased variance, here it is the biased one throughout. A bias of the layer before is
not followed. What is kept of a batch is its variance and the derivative of that, from which squares follow without
cancellation: q_s - m_s^2 = var_s + <d var_s / d W_s, W - W_s> - <d mean_s / d W_s, W - W_s>^2.

Provenance: unconfirmed in one point. That the paper raises q_s to m_s^2 is from memory, its text was not at hand; the
rest is as in the authors' code, and `impossible: leave_out` is that code in this point too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Moments,
    batch_moments,
    constant,
    example_moments,
    moving_average,
    scale_shift,
    standardize_with,
    unbiased_variance,
    unit_sum,
)

#: The least variance whose root is differentiated.
_LEAST = 1e-30


class _Kept(NamedTuple):
    """What is kept of the steps before, the last of them first.

    Attributes:
        mean: Means, `(window - 1, C)`.
        var: Biased variances, `(window - 1, C)`.
        weight: Weights of the layer before, `(window - 1, C, U)`.
        mean_gradient: Derivatives of the means, `(window - 1, groups, U)`: channels of a group share them.
        var_gradient: Derivatives of the variances, `(window - 1, C, U)`.
    """

    mean: Any
    var: Any
    weight: Any
    mean_gradient: Any
    var_gradient: Any


class CrossIterationBatchNorm(NormLayer):
    """Standardize each channel over the last batches and all positions, as if all had today's weights.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_var `(C,)` from 1, steps `(1,)` from 0, and from 0 what is kept of the
    steps before: buffer_mean and buffer_var `(window - 1, C)`, buffer_weight and buffer_var_gradient
    `(window - 1, C, U)`, buffer_mean_gradient `(window - 1, groups, U)`, for U weights of each channel.

    Args:
        epsilon: Added to the variance, inside the root, or to the root.
        momentum: Share of the running statistics that each training step keeps.
        window: How many steps the statistics are taken over, this one among them.
        burn_in: Steps before the window begins, in each of which the batch is on its own.
        impossible: What is done where the polynomial gives a negative variance: `raise` it to 0, or `leave_out` the
            step.
        epsilon_inside: Whether epsilon is inside the root.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2
    needs_layer_before = True

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        window: Annotated[int, Field(ge=2)] = 4,
        burn_in: NonNegativeInt = 8,
        impossible: Literal["raise", "leave_out"] = "raise",
        epsilon_inside: bool = True,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.window = window
        self.burn_in = burn_in
        self.impossible = impossible
        self.epsilon_inside = epsilon_inside
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")
        self.state("steps", "zeros", shape=lambda _: (1,))
        for name in ("buffer_mean", "buffer_var"):
            self.state(name, "zeros", shape=lambda channels: (window - 1, channels))
        for name in ("buffer_weight", "buffer_var_gradient"):
            self.state(name, "zeros", shape=lambda channels: (window - 1, channels, self.before.unit_size))
        self.state(
            "buffer_mean_gradient", "zeros", shape=lambda _: (window - 1, self.before.groups, self.before.unit_size)
        )

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        taken: Any,
        weight: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        steps: Any,
        **buffers: Any,
    ) -> Any:
        """Standardize, and in training keep the batch's statistics."""
        if not self.training:
            return self._predict(F, x, gamma, beta, running_mean, running_var)
        kept = _Kept(**{name.removeprefix("buffer_"): value for name, value in buffers.items()})
        weight = F.BlockGrad(F.reshape(weight, shape=(0, -1)))
        own = batch_moments(F, example_moments(F, x, self.in_channels, self.layout))
        centered = scale_shift(F, x, constant(F, x, 1.0, self.in_channels), -own.mean, self.in_channels)
        mean, var = self._averaged(F, own, self._brought(F, kept, weight), steps)
        self.update(
            running_mean=moving_average(running_mean, own.mean, self.momentum),
            running_var=moving_average(running_var, unbiased_variance(F, x, own.variance), self.momentum),
            steps=steps + 1,
            **self._pushed(F, kept, own, weight, F.BlockGrad(centered), F.BlockGrad(taken)),
        )
        scale = gamma * self._inverse_root(F, var)
        return scale_shift(F, centered, scale, (own.mean - mean) * scale + beta, self.in_channels)

    def _predict(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        if self.epsilon_inside:
            return standardize_with(F, x, gamma, beta, running_mean, running_var, self.epsilon)
        scale = gamma * self._inverse_root(F, running_var)
        return scale_shift(F, x, scale, beta - running_mean * scale, self.in_channels)

    def _inverse_root(self, F: Any, var: Any) -> Any:
        if self.epsilon_inside:
            return F.rsqrt(var + self.epsilon)
        return 1 / (F.sqrt(F.maximum(var, _LEAST)) + self.epsilon)

    def _brought(self, F: Any, kept: _Kept, weight: Any) -> Moments:
        """The means and variances of the steps before, brought to today's weight, `(window - 1, C)` each."""
        moved = F.broadcast_sub(F.expand_dims(weight, axis=0), kept.weight)
        grouped = F.reshape(moved, shape=(-1, self.in_channels // self.before.groups, self.before.unit_size))
        slopes = F.reshape(kept.mean_gradient, shape=(-3, -1, 1))
        along = F.reshape_like(F.batch_dot(grouped, slopes), kept.mean)
        sums, _ = unit_sum(F, F.reshape(moved * kept.var_gradient, shape=(-3, 0)))
        return Moments(kept.mean + along, kept.var + F.reshape_like(sums, kept.var) - F.square(along))

    def _averaged(self, F: Any, own: Moments, brought: Moments, steps: Any) -> Moments:
        """Mean and variance over the window, `(C,)` each."""
        is_there = F.concat(*[steps > self.burn_in + index for index in range(self.window - 1)], dim=0)
        share = F.broadcast_like(F.expand_dims(is_there, axis=1), brought.mean)
        if self.impossible == "leave_out":
            share = share * (brought.variance >= 0)
        count = F.sum(share, axis=0) + 1
        mean = (own.mean + F.sum(share * brought.mean, axis=0)) / count
        apart = F.square(F.broadcast_sub(brought.mean, F.expand_dims(mean, axis=0))) + F.relu(brought.variance)
        return Moments(mean, (own.variance + F.square(own.mean - mean) + F.sum(share * apart, axis=0)) / count)

    def _pushed(self, F: Any, kept: _Kept, own: Moments, weight: Any, centered: Any, taken: Any) -> dict[str, Any]:
        """The buffers with this step in front, without the oldest."""
        var_gradient = 2 * self.before.mean_product(F, centered, taken)
        new = _Kept(own.mean, own.variance, weight, self.before.mean_patch(F, taken), var_gradient)
        pushed = {}
        for name, value, buffer in zip(kept._fields, new, kept):
            rows = [F.expand_dims(value, axis=0)]
            if self.window > 2:  # noqa: PLR2004 - with two there is no other step to be kept
                rows.append(F.slice_axis(buffer, axis=0, begin=0, end=self.window - 2))
            pushed[f"buffer_{name}"] = F.concat(*rows, dim=0)
        return pushed


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `cross_iteration_batch`."""
    yield Norm(
        "cross_iteration_batch",
        layer=CrossIterationBatchNorm,
        title="Cross-iteration batch normalization",
        formula="y = gamma (x - mean) / sqrt(var + epsilon) + beta, over the last batches, brought to today's weights",
        authors="Yao, Cao, Zheng, Huang, Lin",
        venue="CVPR",
        year=2021,
        paper="arXiv:2002.05712",
        provenance="unconfirmed",
        paper_title="Cross-Iteration Batch Normalization",
    )
