"""Batch-instance normalization (Nam and Kim, NeurIPS 2018, arXiv:1805.07925).

    y = gamma (rho x_B + (1 - rho) x_I) + beta,   x_B, x_I = (x - mean) / sqrt(var + epsilon)

x_B takes mean and biased variance over the batch and all positions, for each channel; x_I over the positions of each
example's channel. rho has one value a channel, between 0 and 1: after each step it is set to the nearer end if it has
left. In prediction running statistics stand for those of the batch.

Conventions, those of the authors' code: rho starts at 1, which is batch normalization, and learns ten times as fast as
the weights. epsilon, 1e-5, is inside both roots. `momentum` is the share that is kept; the running variance follows the
unbiased estimate. The authors spare rho weight decay, which here it gets as the weights do. Without positions, layout
NC, x_I would be 0: that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import BatchLayer, Norm, NormProject, hookimpl
from normlab.ops import group_standardize, scale_shift


class BatchInstanceNorm(BatchLayer):
    """Standardize each channel over the batch and over the example, and mix the two.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, rho `(C,)` from
    1. State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        epsilon: Added to the variances, inside the roots.
        momentum: Share of the running statistics that each training step keeps.
        rho_learning_rate_factor: How many times as fast as the weights rho learns.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        rho_learning_rate_factor: PositiveFloat = 10.0,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.affine()
        self.parameter("rho", "ones", learning_rate_factor=rho_learning_rate_factor)
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, rho: Any, running_mean: Any, running_var: Any
    ) -> Any:
        """Standardize in both ways, each with its share of gamma."""
        by_batch = self.standardized(F, x, gamma * rho, beta, running_mean, running_var)
        by_instance = group_standardize(F, x, self.in_channels, self.epsilon)
        return by_batch + scale_shift(F, by_instance, gamma * (1 - rho), F.zeros_like(beta), self.in_channels)


class GatesWithinBounds(NormProject):
    """Set each rho that has left the range from 0 to 1 to the nearer end."""

    def __call__(self, F: Any, name: str, value: Any) -> Any:
        """Clip rho, and leave other parameters."""
        return F.clip(value, 0, 1) if name.endswith(".rho") else value


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `batch_instance`."""
    yield Norm(
        "batch_instance",
        layer=BatchInstanceNorm,
        project=GatesWithinBounds,
        title="Batch-instance normalization",
        formula="y = gamma (rho x_B + (1 - rho) x_I) + beta, 0 <= rho <= 1",
        authors="Nam, Kim",
        venue="NeurIPS",
        year=2018,
        paper="arXiv:1805.07925",
        paper_title="Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks",
    )
