"""Batch renormalization (Ioffe, NeurIPS 2017, arXiv:1702.03275), algorithm 1 and section 3.

    y = gamma (r (x - mean_B) / sigma_B + d) + beta,   sigma_B = sqrt(var_B + epsilon)
    r = clip(sigma_B / sigma, 1 / r_max, r_max),   d = clip((mean_B - mean) / sigma, -d_max, d_max)

mean_B and the biased var_B are taken over the batch and all positions, for each channel; mean and sigma are the
running ones from before this step. r and d are constants to the gradient. In prediction y = gamma (x - mean) / sigma
+ beta. The bounds are relaxed: r_max = 1 and d_max = 0, which is batch normalization, at first, then linearly larger.

Conventions: the paper averages sigma_B, epsilon included; TensorFlow does too, Chainer averages the unbiased variance:
`average` chooses. The running sigma and variance start from 1. `momentum` is the share that is kept (the paper's alpha
= 0.01 is the share that is new). The paper's bounds, the default: 3 after 40,000 steps and 5 after 25,000, both from
the 5,000th on; the number of steps taken is part of the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import (
    batch_standardize,
    center_scale_shift,
    constant,
    moving_average,
    scale_shift,
    standardize_with,
    unbiased_variance,
)


class BatchRenorm(NormLayer):
    """Standardize each channel by the batch, corrected towards the running statistics.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_spread `(C,)` from 1, a deviation or a variance as `average` says,
    steps `(1,)` from 0.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        average: What is averaged: `deviation`, sigma_B; `variance`, the biased one; or `unbiased_variance`.
        r_max: Bound of r, once it is relaxed.
        d_max: Bound of d, once it is relaxed.
        relax_from: Steps that are batch normalization, before the bounds are relaxed.
        r_max_from: Step from which r is bounded by `r_max`.
        d_max_from: Step from which d is bounded by `d_max`.
        scale: Whether gamma is learned.
        center: Whether beta is learned.

    Raises:
        SpecError: A bound is to be reached before it is relaxed.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.99,
        average: Literal["deviation", "variance", "unbiased_variance"] = "deviation",
        r_max: Annotated[float, Field(ge=1)] = 3.0,
        d_max: NonNegativeFloat = 5.0,
        relax_from: NonNegativeInt = 5000,
        r_max_from: NonNegativeInt = 40000,
        d_max_from: NonNegativeInt = 25000,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        for name, step in (("r_max_from", r_max_from), ("d_max_from", d_max_from)):
            if step < relax_from:
                raise SpecError(
                    f"batch_renorm: {name} {step} comes before relax_from {relax_from}; expected at least as many steps"
                )
        self.epsilon = epsilon
        self.momentum = momentum
        self.average = average
        self.r_max = r_max
        self.d_max = d_max
        self.relax_from = relax_from
        self.r_max_from = r_max_from
        self.d_max_from = d_max_from
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_spread", "ones")
        self.state("steps", "zeros", shape=lambda _: (1,))

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_spread: Any, steps: Any
    ) -> Any:
        """Standardize and correct, and in training move the running statistics."""
        if not self.training:
            return self._predict(F, x, gamma, beta, running_mean, running_spread)
        ones, zeros = (constant(F, x, fill, self.in_channels) for fill in (1.0, 0.0))
        standardized, mean, variance = batch_standardize(F, x, ones, zeros, self.in_channels, self.epsilon)
        deviation = F.sqrt(variance + self.epsilon)
        running_deviation = self._deviation(F, running_spread)
        step = steps + 1
        r_max = 1 + (self.r_max - 1) * self._relaxed(F, step, self.r_max_from)
        d_max = self.d_max * self._relaxed(F, step, self.d_max_from)
        r = _clip(F, deviation / running_deviation, 1 / r_max, r_max)
        d = _clip(F, (mean - running_mean) / running_deviation, -d_max, d_max)
        r, d = F.BlockGrad(r), F.BlockGrad(d)
        self.update(
            running_mean=moving_average(running_mean, mean, self.momentum),
            running_spread=moving_average(running_spread, self._spread(F, x, deviation, variance), self.momentum),
            steps=step,
        )
        return scale_shift(F, standardized, gamma * r, gamma * d + beta, self.in_channels)

    def _predict(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_spread: Any) -> Any:
        if self.average != "deviation":
            return standardize_with(F, x, gamma, beta, running_mean, running_spread, self.epsilon)
        return center_scale_shift(F, x, running_mean, gamma / running_spread, beta, self.in_channels)

    def _deviation(self, F: Any, running_spread: Any) -> Any:
        return running_spread if self.average == "deviation" else F.sqrt(running_spread + self.epsilon)

    def _spread(self, F: Any, x: Any, deviation: Any, variance: Any) -> Any:
        """What this batch adds to the running average."""
        if self.average == "deviation":
            return deviation
        if self.average == "variance":
            return variance
        return unbiased_variance(F, x, variance)

    def _relaxed(self, F: Any, step: Any, full_from: int) -> Any:
        """How far a bound is relaxed at a step counted from 1, between 0 and 1, `(1,)`."""
        return F.clip((step - self.relax_from) / max(full_from - self.relax_from, 1), 0, 1)


def _clip(F: Any, value: Any, low: Any, high: Any) -> Any:
    return F.broadcast_minimum(F.broadcast_maximum(value, low), high)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `batch_renorm`."""
    yield Norm(
        "batch_renorm",
        layer=BatchRenorm,
        title="Batch renormalization",
        formula="y = gamma (r (x - mean_B) / sigma_B + d) + beta",
        authors="Ioffe",
        venue="NeurIPS",
        year=2017,
        paper="arXiv:1702.03275",
        paper_title="Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models",
    )
