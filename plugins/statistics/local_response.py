"""Local response normalization (Krizhevsky, Sutskever and Hinton, NeurIPS 2012), section 3.3.

    y_c = x_c / (k + (alpha / size) sum_w x_w^2)^power, over the window of `size` channels around c

Prediction is the same as training; there are no parameters and no state.

Conventions: the paper multiplies the sum by alpha alone; Caffe, PyTorch and MXNet by alpha over the window's size,
which is what is here. The paper's values are size 5, alpha 1e-4, power 0.75 and k 2; PyTorch's k is 1. The window is
centred on its channel, so its size is odd: MXNet and PyTorch differ where it is even.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, SpecError, hookimpl


class LocalResponseNorm(NormLayer):
    """Divide each channel by a power of the squares of the channels around it.

    Shapes: x and y `(N, C, H, W)`. No parameters, no state; prediction is the same as training.

    Args:
        size: Channels of the window, odd.
        alpha: Weight of their mean square.
        power: Exponent, the paper's beta.
        k: Added to the weighted mean square.
    """

    layouts = ("NCHW",)

    def __init__(
        self,
        size: Annotated[int, Field(ge=1)] = 5,
        alpha: PositiveFloat = 1e-4,
        power: PositiveFloat = 0.75,
        k: PositiveFloat = 2.0,
        **site: Any,
    ) -> None:
        super().__init__(**site)
        if size % 2 == 0:
            raise SpecError(f"local_response: size {size}; expected an odd number, so that a channel is in the middle")
        self.size = size
        self.alpha = alpha
        self.power = power
        self.k = k

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Divide by the response around."""
        return F.LRN(x, nsize=self.size, alpha=self.alpha, beta=self.power, knorm=self.k)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `local_response`."""
    yield Norm(
        "local_response",
        layer=LocalResponseNorm,
        title="Local response normalization",
        formula="y_c = x_c / (k + (alpha / size) sum_w x_w^2)^power",
        authors="Krizhevsky, Sutskever, Hinton",
        venue="NeurIPS",
        year=2012,
        paper="doi:10.1145/3065386",
        paper_title="ImageNet Classification with Deep Convolutional Neural Networks",
    )
