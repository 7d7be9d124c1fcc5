"""Scale normalization (Nguyen and Salazar, IWSLT 2019, arXiv:1910.05895), equation 4.

    y = g x / ||x||

The norm is taken over the channels, at each position of each example on its own; g is one number for the whole layer.
Prediction is the same as training; there is no state.

Conventions: g starts at sqrt(C), so that y starts with a mean square of 1; x-transformers learns g / sqrt(C) instead.
The norm is not let below epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import as_planes, broadcast_plane, channel_mean, constant, from_planes


class ScaleNorm(NormLayer):
    """Bring the channels at each position to one learned length.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameter: g `(1,)` from sqrt(C). No state; prediction is
    the same as training.

    Args:
        epsilon: Least norm to divide by.
    """

    def __init__(self, epsilon: PositiveFloat = 1e-5, **site: Any) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        self.parameter("g", lambda _, __: math.sqrt(self.in_channels), shape=lambda _: (1,))

    def hybrid_forward(self, F: Any, x: Any, g: Any) -> Any:
        """Divide by the norm, and multiply by the learned length."""
        planes = as_planes(F, x, self.layout)
        squared = channel_mean(F, F.square(planes), self.in_channels, self.layout) * self.in_channels
        inverse = F.rsqrt(F.maximum(squared, max(self.epsilon**2, 1e-36)))
        scale = F.broadcast_mul(constant(F, x, 1.0, self.in_channels), g)
        y = planes * broadcast_plane(F, inverse, scale, self.in_channels, self.layout)
        return from_planes(F, y, x, self.layout)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `scale_norm`."""
    yield Norm(
        "scale_norm",
        layer=ScaleNorm,
        title="Scale normalization",
        formula="y = g x / ||x||",
        authors="Nguyen, Salazar",
        venue="IWSLT",
        year=2019,
        paper="arXiv:1910.05895",
        paper_title="Transformers without Tears: Improving the Normalization of Self-Attention",
    )
