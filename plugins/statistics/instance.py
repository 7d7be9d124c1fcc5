"""Instance normalization (Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022), equation 4.

    y = gamma (x - mean_I) / sqrt(var_I + epsilon) + beta

mean_I and the biased var_I are taken over the positions, for each channel of each example. Prediction is the same as
training; there is no state.

Conventions: epsilon is inside the root, 1e-5 as in PyTorch and Gluon. gamma and beta are learned; PyTorch leaves both
out by default, Gluon gamma. Without positions, layout NC, every output would be beta: that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import group_standardize


class InstanceNorm(NormLayer):
    """Standardize each channel of each example over its positions.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0. No state;
    prediction is the same as training.

    Args:
        epsilon: Added to the variance, inside the root.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(self, epsilon: PositiveFloat = 1e-5, scale: bool = True, center: bool = True, **site: Any) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.affine()

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Standardize, then scale and shift."""
        return group_standardize(F, x, self.in_channels, self.epsilon, gamma, beta)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `instance`."""
    yield Norm(
        "instance",
        layer=InstanceNorm,
        title="Instance normalization",
        formula="y = gamma (x - mean_I) / sqrt(var_I + epsilon) + beta",
        authors="Ulyanov, Vedaldi, Lempitsky",
        year=2016,
        paper="arXiv:1607.08022",
        paper_title="Instance Normalization: The Missing Ingredient for Fast Stylization",
    )
