"""Adaptive gradient clipping (Brock, De, Smith and Simonyan, ICML 2021, arXiv:2102.06171), equation 3.

    g = clipping max(||w||, epsilon) / ||g|| g   where ||g|| / max(||w||, epsilon) > clipping

Both norms are taken unit by unit: over all axes of a weight but the first, and over the whole of a parameter with one
axis. Gradients that are within the bound are left as they are.

Conventions: clipping 0.01 and epsilon 1e-3 as in the paper, which leaves out the last layer, and so does the default.
The authors' code clips biases and gains too, each as one unit; `biases_and_gains` can leave them out. The gradient is
that of what a step minimizes: with a loss that is summed over the batch instead of averaged it is longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat

from normlab import Norm, NormGradient, hookimpl

#: Keeps the length of a gradient of zeros from dividing, as in the authors' code.
_SHORTEST = 1e-6


class AdaptiveGradientClipping(NormGradient):
    """Shorten gradients that are long beside the weights that they change.

    Args:
        clipping: The longest that a unit's gradient may be, as a share of the length of its weights.
        epsilon: The shortest length that weights are taken to have, so that those that start from 0 can move.
        last_layer: Whether the last layer's gradients are clipped too.
        biases_and_gains: Whether those of parameters with one axis are, each as one unit.
    """

    def __init__(
        self,
        clipping: PositiveFloat = 0.01,
        epsilon: PositiveFloat = 1e-3,
        last_layer: bool = False,
        biases_and_gains: bool = True,
    ) -> None:
        self.clipping = clipping
        self.epsilon = epsilon
        self.last_layer = last_layer
        self.biases_and_gains = biases_and_gains
        self._spared = ""

    def prepare(self, network: Any) -> None:
        """Find the last layer: the last with a weight, in the order in which the network was built."""
        if self.last_layer:
            return
        names = {id(parameter): name for name, parameter in network.parameters.items()}
        in_order = [names.get(id(parameter), "") for parameter in network.block.collect_params().values()]
        last = [name for name in in_order if name.endswith(".weight")][-1]
        self._spared = last[: -len("weight")]

    def __call__(self, F: Any, name: str, weight: Any, gradient: Any) -> Any:
        """Clip one parameter's gradient."""
        if self._spared and name.startswith(self._spared):
            return gradient
        if weight.ndim < 2 and not self.biases_and_gains:  # noqa: PLR2004 - a bias or gain has one axis
            return gradient
        rows = [F.reshape(array, shape=(0, -1) if array.ndim > 1 else (1, -1)) for array in (weight, gradient)]
        of_weight, of_gradient = (F.sqrt(F.sum(F.square(array), axis=1, keepdims=True)) for array in rows)
        allowed = self.clipping * F.maximum(of_weight, self.epsilon)
        factor = F.minimum(allowed / F.maximum(of_gradient, _SHORTEST), 1)
        return F.reshape_like(F.broadcast_mul(rows[1], factor), gradient)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `agc`."""
    yield Norm(
        "agc",
        gradient=AdaptiveGradientClipping,
        title="Adaptive gradient clipping",
        formula="g = g min(1, clipping max(||w||, epsilon) / ||g||)",
        authors="Brock, De, Smith, Simonyan",
        venue="ICML",
        year=2021,
        paper="arXiv:2102.06171",
        paper_title="High-Performance Large-Scale Image Recognition Without Normalization",
    )
