"""Pixelwise feature vector normalization (Karras, Aila, Laine and Lehtinen, ICLR 2018, arXiv:1710.10196), section 4.2.

    y = x / sqrt(mean_C(x^2) + epsilon)

The mean is taken over the channels, at each position of each example on its own. There are no parameters and no
state; prediction is the same as training.

Conventions: epsilon is inside the root, 1e-8 in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import as_planes, broadcast_plane, channel_mean, constant, from_planes


class PixelNorm(NormLayer):
    """Bring the channels at each position to a mean square of 1.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. No parameters, no state; prediction is the same as
    training.

    Args:
        epsilon: Added to the mean square, inside the root.
    """

    def __init__(self, epsilon: PositiveFloat = 1e-8, **site: Any) -> None:
        super().__init__(**site)
        self.epsilon = epsilon

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Divide by the root mean square of the channels."""
        planes = as_planes(F, x, self.layout)
        mean = channel_mean(F, F.square(planes), self.in_channels, self.layout)
        ones = constant(F, x, 1.0, self.in_channels)
        inverse = broadcast_plane(F, F.rsqrt(mean + self.epsilon), ones, self.in_channels, self.layout)
        return from_planes(F, planes * inverse, x, self.layout)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `pixel_norm`."""
    yield Norm(
        "pixel_norm",
        layer=PixelNorm,
        title="Pixelwise feature vector normalization",
        formula="y = x / sqrt(mean_C(x^2) + epsilon)",
        authors="Karras, Aila, Laine, Lehtinen",
        venue="ICLR",
        year=2018,
        paper="arXiv:1710.10196",
        paper_title="Progressive Growing of GANs for Improved Quality, Stability, and Variation",
    )
