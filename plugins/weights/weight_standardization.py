"""Weight standardization (Qiao, Wang, Liu, Shen and Yuille 2019, arXiv:1903.10520).

    w = (v - mean) / sqrt(var + epsilon)

mean and the biased var are taken over all weights of an output unit. v is the layer's own weight. There are no
parameters, since a norm of activations is to follow. Prediction is the same as training.

Conventions: epsilon, 1e-5, is inside the root, with the biased variance (timm: 1e-6). The authors' PyTorch code divides
by the unbiased standard deviation plus 1e-5, outside of the root: `epsilon_inside: false, unbiased: true`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormWeight, hookimpl
from normlab.ops import constant, unit_scale_shift, unit_standardize, unit_sum

#: Keeps the root's derivative at 0 finite where no epsilon is inside it.
_TINY = 1e-30


class WeightStandardization(NormWeight):
    """Standardize the weights of each output unit.

    Shapes: weight `(out, in)` or `(out, in / groups, kernel ...)`, and the same out. No parameters, no state;
    prediction is the same as training.

    Args:
        epsilon: Added to the variance, or to its root.
        epsilon_inside: Whether epsilon is added inside the root.
        unbiased: Whether the variance is the unbiased estimate, m / (m - 1) var for m weights.
    """

    def __init__(
        self, epsilon: PositiveFloat = 1e-5, epsilon_inside: bool = True, unbiased: bool = False, **site: Any
    ) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        self.epsilon_inside = epsilon_inside
        self.unbiased = unbiased

    def hybrid_forward(self, F: Any, weight: Any) -> Any:
        """Standardize each unit."""
        if self.epsilon_inside and not self.unbiased:
            return unit_standardize(F, weight, self.out_channels, self.epsilon)
        ones, zeros = (constant(F, weight, fill, self.out_channels) for fill in (1.0, 0.0))
        sums, count = unit_sum(F, weight)
        centered = unit_scale_shift(F, weight, ones, -F.broadcast_div(sums, count), self.out_channels)
        squares, _ = unit_sum(F, F.square(centered))
        variance = F.broadcast_div(squares, count - 1 if self.unbiased else count)
        return unit_scale_shift(F, centered, self._inverse_root(F, variance), zeros, self.out_channels)

    def _inverse_root(self, F: Any, variance: Any) -> Any:
        if self.epsilon_inside:
            return F.rsqrt(variance + self.epsilon)
        return 1 / (F.sqrt(variance + _TINY) + self.epsilon)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `weight_standardization`."""
    yield Norm(
        "weight_standardization",
        weight=WeightStandardization,
        title="Weight standardization",
        formula="w = (v - mean) / sqrt(var + epsilon)",
        authors="Qiao, Wang, Liu, Shen, Yuille",
        year=2019,
        paper="arXiv:1903.10520",
        paper_title="Micro-Batch Training with Batch-Channel Normalization and Weight Standardization",
    )
