"""Dynamic tanh (Zhu, Chen, He, LeCun and Liu, CVPR 2025, arXiv:2503.10622), section 4.

    y = gamma tanh(alpha x) + beta

alpha is one number for the whole layer. Prediction is the same as training; there is no state. The authors made it
for transformers in the place of layer normalization.

Conventions: the paper starts alpha at 0.5; x-transformers starts it at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import constant, scale_shift


class DynamicTanh(NormLayer):
    """Squash every activation by a tanh of learned width.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: alpha `(1,)` from `alpha`, gamma `(C,)` from 1,
    beta `(C,)` from 0. No state; prediction is the same as training.

    Args:
        alpha: How alpha starts.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(self, alpha: PositiveFloat = 0.5, scale: bool = True, center: bool = True, **site: Any) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.parameter("alpha", alpha, shape=lambda _: (1,))
        self.affine()

    def hybrid_forward(self, F: Any, x: Any, alpha: Any, gamma: Any, beta: Any) -> Any:
        """Squash, scale and shift."""
        channels = self.in_channels
        widths = F.broadcast_mul(constant(F, x, 1.0, channels), alpha)
        squashed = F.Activation(scale_shift(F, x, widths, constant(F, x, 0.0, channels), channels), act_type="tanh")
        return scale_shift(F, squashed, gamma, beta, channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `dyt`."""
    yield Norm(
        "dyt",
        layer=DynamicTanh,
        title="Dynamic tanh",
        formula="y = gamma tanh(alpha x) + beta",
        authors="Zhu, Chen, He, LeCun, Liu",
        venue="CVPR",
        year=2025,
        paper="arXiv:2503.10622",
        paper_title="Transformers without Normalization",
    )
