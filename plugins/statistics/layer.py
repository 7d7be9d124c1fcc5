"""Layer normalization (Ba, Kiros and Hinton 2016, arXiv:1607.06450), equations 3 and 4.

    y = gamma (x - mean_L) / sqrt(var_L + epsilon) + beta

mean_L and the biased var_L are taken over the units of a layer, for each example on its own. Prediction is the same as
training; there is no state.

Conventions: the paper writes no epsilon; inside the root it is, 1e-5, in PyTorch and Gluon (1e-6 in Flax, 1e-3 in
Keras). What the units are of a layer with positions, implementations disagree on, so `over` says it: `all` channels
and positions, as the paper has it for convolutions, or the `channels` at each position on their own, as the paper has
it for the time steps of sequences (and ConvNeXt for images). gamma and beta have one value a channel; PyTorch's have
one a unit, which ties a network to one size of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Optional

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import channel_standardize, group_standardize, scale_shift


class LayerNorm(NormLayer):
    """Standardize each example over its channels, and over its positions too or at each on its own.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    No state; prediction is the same as training.

    Args:
        over: `all` channels and positions together, or the `channels` at each position; if not given, `all` for
            images and `channels` for sequences.
        epsilon: Added to the variance, inside the root.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(
        self,
        over: Optional[Literal["all", "channels"]] = None,
        epsilon: PositiveFloat = 1e-5,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.over = over or ("channels" if self.layout == "NTC" else "all")
        self.epsilon = epsilon
        self.affine()

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Standardize, then scale and shift."""
        if self.over == "all" or self.layout == "NC":
            y = group_standardize(F, x, 1, self.epsilon)
        else:
            y = channel_standardize(F, x, self.in_channels, self.epsilon, self.layout)
        return scale_shift(F, y, gamma, beta, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `layer`."""
    yield Norm(
        "layer",
        layer=LayerNorm,
        title="Layer normalization",
        formula="y = gamma (x - mean_L) / sqrt(var_L + epsilon) + beta",
        authors="Ba, Kiros, Hinton",
        year=2016,
        paper="arXiv:1607.06450",
        paper_title="Layer Normalization",
    )
