"""Representative batch normalization (Gao, Han, Li, Cheng and Peng, CVPR 2021).

    y = gamma s x_B + beta,   s = sigmoid(scale_weight mean_I(x_B) + scale_bias)
    x_B = (z - mean_B) / sqrt(var_B + epsilon),   z = x + center_weight mean_I(x)

mean_I is the mean of each channel of each example over the positions; mean_B and the biased var_B are taken over the
batch and all positions, for each channel. In prediction running statistics stand for those of the batch.

Conventions, those of the authors' code: both weights start at 0 and scale_bias at 1, so that it starts as batch
normalization times sigmoid(1) = 0.731. epsilon, 1e-5, is inside the root; `momentum` is the share that is kept; the
running variance follows the unbiased estimate. That code also changes its input in place, x becoming z for all who hold
it, which is not done here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import BatchLayer, Norm, hookimpl
from normlab.ops import constant, example_scale_shift, position_mean, scale_shift


class RepresentativeBatchNorm(BatchLayer):
    """Shift each map by its mean before the batch is standardized, and gate it by its mean afterwards.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, center_weight
    and scale_weight `(C,)` from 0, scale_bias `(C,)`. State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        scale_bias_start: What scale_bias starts from.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        scale_bias_start: float = 1.0,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.affine()
        self.parameter("center_weight", "zeros")
        self.parameter("scale_weight", "zeros")
        self.parameter("scale_bias", scale_bias_start)
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, **weights: Any
    ) -> Any:
        """Shift, standardize, gate, scale and shift."""
        channels = self.in_channels
        ones, zeros = (constant(F, x, fill, channels) for fill in (1.0, 0.0))
        shift = scale_shift(F, position_mean(F, x, channels), weights["center_weight"], zeros, channels)
        centered = example_scale_shift(F, x, F.ones_like(shift), shift, channels)
        y = self.standardized(F, centered, ones, zeros, running_mean, running_var)
        mean = position_mean(F, y, channels)
        gate = F.sigmoid(scale_shift(F, mean, weights["scale_weight"], weights["scale_bias"], channels))
        scales = scale_shift(F, gate, gamma, zeros, channels)
        shifts = scale_shift(F, F.zeros_like(gate), ones, beta, channels)
        return example_scale_shift(F, y, scales, shifts, channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `representative_batch`."""
    yield Norm(
        "representative_batch",
        layer=RepresentativeBatchNorm,
        title="Representative batch normalization",
        formula="y = gamma sigmoid(a mean(z) + b) z + beta, z = BN(x + c mean(x)), means over positions",
        authors="Gao, Han, Li, Cheng, Peng",
        venue="CVPR",
        year=2021,
        paper="https://mmcheng.net/rbn/",
        paper_title="Representative Batch Normalization with Feature Calibration",
    )
