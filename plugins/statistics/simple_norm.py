"""Simple normalization, as timm's `SimpleNorm` has it for Gemma 3n: the variance without the centring.

    y = gamma x / sqrt(var_C + epsilon)

The variance is that of the channels about their mean, at each position of each example on its own; the mean stays in
y. Prediction is the same as training; there is no state.

Conventions: the variance is unbiased and epsilon, 1e-6, is inside the root, as in timm. No paper describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import as_planes, broadcast_plane, channel_variance, from_planes


class SimpleNorm(NormLayer):
    """Divide by the standard deviation of the channels, and leave their mean.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameter: gamma `(C,)` from 1. No state; prediction is
    the same as training.

    Args:
        epsilon: Added to the variance, inside the root.
        scale: Whether gamma is learned.
    """

    def __init__(self, epsilon: PositiveFloat = 1e-6, scale: bool = True, **site: Any) -> None:
        super().__init__(scale=scale, **site)
        self.epsilon = epsilon
        self.affine(center=False)

    def prepare(self) -> None:
        """Refuse a single channel.

        Raises:
            SpecError: There is one channel only, which has no variance.
        """
        if self.in_channels == 1:
            raise SpecError("simple_norm: a site has 1 channel; expected at least 2, one alone has no variance")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any) -> Any:
        """Divide by the standard deviation, and scale."""
        channels = self.in_channels
        planes = as_planes(F, x, self.layout)
        variance = channel_variance(F, planes, channels, self.layout) * (channels / (channels - 1))
        y = planes * broadcast_plane(F, F.rsqrt(variance + self.epsilon), gamma, channels, self.layout)
        return from_planes(F, y, x, self.layout)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `simple_norm`."""
    yield Norm(
        "simple_norm",
        layer=SimpleNorm,
        title="Simple normalization",
        formula="y = gamma x / sqrt(var_C + epsilon)",
        authors="Wightman",
        venue="timm",
        year=2025,
        paper="https://github.com/huggingface/pytorch-image-models",
        paper_title="PyTorch Image Models",
    )
