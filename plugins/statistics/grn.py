"""Global response normalization (Woo et al., "ConvNeXt V2", CVPR 2023, arXiv:2301.00808), equations 1 to 3.

    y = gamma x n + beta + x, with n_c = g_c / (mean_C(g) + epsilon), g_c = ||x_c|| over the positions

gamma and beta start at 0, so that the layer starts as y = x. Prediction is the same as training; there is no state.
The paper puts it behind the activation of a wide layer, beside layer normalization, not instead of it.

Conventions: epsilon, 1e-6, is added to the mean, not inside a root.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import constant, example_scale_shift, position_sum, scale_shift

#: Keeps the root's derivative finite where a channel is 0 everywhere.
_TINY = 1e-30


class GlobalResponseNorm(NormLayer):
    """Make channels of an example compete by the length of their maps.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 0, beta `(C,)` from 0. No state;
    prediction is the same as training.

    Args:
        epsilon: Added to the mean length.
    """

    layouts = ("NCHW", "NTC")

    def __init__(self, epsilon: PositiveFloat = 1e-6, **site: Any) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        # zeros, unless a network asks for something else than its usual ones
        start = "zeros" if self.gamma_initializer == "ones" else self.gamma_initializer
        self.parameter("gamma", start, trainable=self.scale)
        self.parameter("beta", self.beta_initializer, trainable=self.center)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Scale each channel by its share of the response, and add x."""
        channels = self.in_channels
        lengths = F.sqrt(position_sum(F, F.square(x), channels) + _TINY)
        shares = F.broadcast_div(lengths, F.mean(lengths, axis=1, keepdims=True) + self.epsilon)
        scale = F.broadcast_mul(shares, F.expand_dims(gamma, axis=0)) + 1
        y = example_scale_shift(F, x, scale, F.zeros_like(scale), channels)
        return scale_shift(F, y, constant(F, x, 1.0, channels), beta, channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `grn`."""
    yield Norm(
        "grn",
        layer=GlobalResponseNorm,
        title="Global response normalization",
        formula="y = gamma x g / (mean_C(g) + epsilon) + beta + x, g = ||x|| over positions",
        authors="Woo, Debnath, Hu, Chen, Liu, Kweon, Xie",
        venue="CVPR",
        year=2023,
        paper="arXiv:2301.00808",
        paper_title="ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders",
    )
