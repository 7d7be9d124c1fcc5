"""Scale and shift alone: the control for "is it the normalization, or its gamma and beta?".

    y = gamma x + beta

Frankle, Schwab and Morcos (ICLR 2021, arXiv:2003.00152) ask how much gamma and beta alone can learn. Prediction is
the same as training; there is no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import scale_shift


class Affine(NormLayer):
    """Multiply each channel by gamma and add beta.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    No state; prediction is the same as training.

    Args:
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(self, scale: bool = True, center: bool = True, **site: Any) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.affine()

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Scale and shift."""
        return scale_shift(F, x, gamma, beta, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `affine`."""
    yield Norm(
        "affine",
        layer=Affine,
        title="Scale and shift without normalization",
        formula="y = gamma x + beta",
        authors="Frankle, Schwab, Morcos",
        venue="ICLR",
        year=2021,
        paper="arXiv:2003.00152",
        paper_title="Training BatchNorm and Only BatchNorm: On the Expressive Power of Random Features in CNNs",
    )
