"""Instance enhancement batch normalization (Liang et al., AAAI 2020, arXiv:1908.04008).

    y = gamma s (x - mean_B) / sqrt(var_B + epsilon) + beta,   s = sigmoid(gate_weight mean_I(x) + gate_bias)

mean_B and the biased var_B are taken over the batch and all positions, for each channel; mean_I over the positions of
each example's channel. In prediction running statistics stand for those of the batch.

Conventions, those of the authors' code: gate_weight starts at 0 and gate_bias at -1, so that it starts as batch
normalization times sigmoid(-1) = 0.269. epsilon, 1e-5, is inside the root; `momentum` is the share that is kept; the
running variance follows the unbiased estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import BatchLayer, Norm, hookimpl
from normlab.ops import constant, example_scale_shift, position_mean, scale_shift


class InstanceEnhancementBatchNorm(BatchLayer):
    """Standardize each channel over the batch, and gate each map by its mean.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, gate_weight
    `(C,)` from 0, gate_bias `(C,)`. State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        gate_bias_start: What gate_bias starts from.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        gate_bias_start: float = -1.0,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.affine()
        self.parameter("gate_weight", "zeros")
        self.parameter("gate_bias", gate_bias_start)
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, **gates: Any
    ) -> Any:
        """Standardize, gate, scale and shift."""
        channels = self.in_channels
        ones, zeros = (constant(F, x, fill, channels) for fill in (1.0, 0.0))
        y = self.standardized(F, x, ones, zeros, running_mean, running_var)
        mean = position_mean(F, x, channels)
        gate = F.sigmoid(scale_shift(F, mean, gates["gate_weight"], gates["gate_bias"], channels))
        scales = scale_shift(F, gate, gamma, zeros, channels)
        shifts = scale_shift(F, F.zeros_like(gate), ones, beta, channels)
        return example_scale_shift(F, y, scales, shifts, channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `ie_batch`."""
    yield Norm(
        "ie_batch",
        layer=InstanceEnhancementBatchNorm,
        title="Instance enhancement batch normalization",
        formula="y = gamma sigmoid(a mean(x) + b) BN(x) + beta, mean over positions",
        authors="Liang, Huang, Liang, Yang",
        venue="AAAI",
        year=2020,
        paper="arXiv:1908.04008",
        paper_title="Instance Enhancement Batch Normalization: an Adaptive Regulator of Batch Noise",
    )
