"""L2 normalization with a learned scale (Liu, Rabinovich and Berg, "ParseNet", 2015, arXiv:1506.04579), section 3.3.

    y = gamma x / max(||x||, epsilon)

The norm is taken over the channels, at each position of each example on its own. Prediction is the same as training;
there is no state.

Conventions: the norm is not let below epsilon, 1e-12, as PyTorch's `normalize`; MXNet's L2Normalization adds epsilon
to the squared norm instead. ParseNet and SSD learn a gamma for each channel from a value of 10 to 20 (`start`), since
lengths of 1 are small for the layers that follow; `scale: false` is the plain form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import as_planes, broadcast_plane, channel_mean, constant, from_planes


class L2Norm(NormLayer):
    """Bring the channels at each position to length 1, or to learned scales.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameter: with `scale` gamma `(C,)` from `start`. No
    state; prediction is the same as training.

    Args:
        epsilon: Least norm to divide by.
        scale: Whether there is a gamma.
        start: How gamma starts.
    """

    def __init__(
        self, epsilon: PositiveFloat = 1e-12, scale: bool = True, start: PositiveFloat = 20.0, **site: Any
    ) -> None:
        super().__init__(scale=scale, **site)
        self.epsilon = epsilon
        if scale:
            # a network that asks for something else than its usual ones knows why
            self.parameter(
                "gamma", start if self.gamma_initializer == "ones" else self.gamma_initializer, trainable=self.scale
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any = None) -> Any:
        """Divide by the norm, and scale if there is a gamma."""
        channels = self.in_channels
        planes = as_planes(F, x, self.layout)
        squared = channel_mean(F, F.square(planes), channels, self.layout) * channels
        inverse = F.rsqrt(F.maximum(squared, max(self.epsilon**2, 1e-36)))
        scale = constant(F, x, 1.0, channels) if gamma is None else gamma
        return from_planes(F, planes * broadcast_plane(F, inverse, scale, channels, self.layout), x, self.layout)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `l2`."""
    yield Norm(
        "l2",
        layer=L2Norm,
        title="L2 normalization",
        formula="y = gamma x / max(||x||, epsilon)",
        authors="Liu, Rabinovich, Berg",
        venue="arXiv",
        year=2015,
        paper="arXiv:1506.04579",
        paper_title="ParseNet: Looking Wider to See Better",
    )
