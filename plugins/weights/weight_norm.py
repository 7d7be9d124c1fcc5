"""Weight normalization (Salimans and Kingma, NeurIPS 2016, arXiv:1602.07868), equation 2.

    w = g v / ||v||

The norm is taken over all weights of an output unit, so that g is the length of w and v only its direction. v is the
layer's own weight; g starts as ||v||, so that w = v at the start. Prediction is the same as training.

Conventions: the paper has no epsilon; Flax's 1e-12 is added to the squared norm. Its initialization from a first batch
of data is a method of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormWeight, hookimpl
from normlab.ops import unit_scale_shift, unit_sum


class WeightNorm(NormWeight):
    """Give each output unit a length of its own, apart from its direction.

    Shapes: weight `(out, in)` or `(out, in / groups, kernel ...)`, and the same out. Parameters: g `(out,)`, from the
    norm of each unit's weights. No state; prediction is the same as training.

    Args:
        epsilon: Added to the squared norm, inside the root.
    """

    def __init__(self, epsilon: PositiveFloat = 1e-12, **site: Any) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        self.parameter("g", "ones")

    def start(self, weight: Any) -> Mapping[str, Any]:
        """Start g from the norms of the weight as it was drawn."""
        rows = weight.reshape(len(weight), -1)
        return {"g": (rows * rows).sum(axis=1) ** 0.5}

    def hybrid_forward(self, F: Any, weight: Any, g: Any) -> Any:
        """Scale each unit to length g."""
        squared, _ = unit_sum(F, F.square(weight))
        return unit_scale_shift(F, weight, g * F.rsqrt(squared + self.epsilon), F.zeros_like(g), self.out_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `weight_norm`."""
    yield Norm(
        "weight_norm",
        weight=WeightNorm,
        title="Weight normalization",
        formula="w = g v / ||v||",
        authors="Salimans, Kingma",
        venue="NeurIPS",
        year=2016,
        paper="arXiv:1602.07868",
        paper_title="Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks",
    )
