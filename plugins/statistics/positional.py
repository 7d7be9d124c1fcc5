"""Positional normalization (Li, Wu, Weinberger and Belongie, NeurIPS 2019, arXiv:1907.04312), equations 1 and 2.

    y = gamma (x - mean_C) / sqrt(var_C + epsilon) + beta

Mean and variance are taken over the channels, at each position of each example on its own. Prediction is the same as
training; there is no state. The paper's moment shortcut, which puts mean and deviation back in later, belongs to
generative networks and is not here.

Conventions: epsilon, 1e-5, is inside the root; the variance is unbiased as in the authors' code, and biased with
`unbiased: false`, which is layer normalization over channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import channel_standardize, scale_shift


class PositionalNorm(NormLayer):
    """Standardize the channels at each position.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0. No state;
    prediction is the same as training.

    Args:
        epsilon: Added to the variance, inside the root.
        unbiased: Whether the variance is the unbiased one, by C - 1.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        unbiased: bool = True,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.unbiased = unbiased
        self.affine()

    def prepare(self) -> None:
        """Refuse a single channel.

        Raises:
            SpecError: There is one channel only.
        """
        if self.in_channels == 1:
            raise SpecError("positional: a site has 1 channel; expected at least 2, one alone would become 0")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Standardize, scale and shift."""
        channels = self.in_channels
        # the unbiased variance plus epsilon is 1 / share times the biased one plus share epsilon
        share = (channels - 1) / channels if self.unbiased else 1.0
        y = channel_standardize(F, x, channels, share * self.epsilon, self.layout)
        return scale_shift(F, y, share**0.5 * gamma, beta, channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `positional`."""
    yield Norm(
        "positional",
        layer=PositionalNorm,
        title="Positional normalization",
        formula="y = gamma (x - mean_C) / sqrt(var_C + epsilon) + beta",
        authors="Li, Wu, Weinberger, Belongie",
        venue="NeurIPS",
        year=2019,
        paper="arXiv:1907.04312",
        paper_title="Positional Normalization",
    )
