"""Root mean square normalization (Zhang and Sennrich, NeurIPS 2019, arXiv:1910.07467), equation 4, section 4.

    y = gamma x / sqrt(mean_C(x^2) + epsilon)

The mean is taken over the channels, at each position of each example on its own. Prediction is the same as training;
there is no state.

Conventions: the paper writes no epsilon. Inside the root, 1e-6, it is in timm, Flax and Keras; the authors' code adds
1e-8 to the root instead, which is `epsilon: 1.0e-8, epsilon_inside: false`. That one multiplies the gradient at a
position where all channels are 0 by 1e8, as borders of images are after a convolution. The paper has no beta: `center`
adds one, as the authors' code can. pRMSNorm takes the mean over the first channels only, `partial` of them.
Gemma learns gamma - 1 instead of gamma, so that weight decay pulls gamma to 1: `zero_centered_gamma`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import as_planes, broadcast_plane, channel_mean, constant, from_planes, scale_shift

if TYPE_CHECKING:
    from normlab import Initializer

#: Keeps the root's derivative at 0 finite where no epsilon is inside it.
_TINY = 1e-30


class RMSNorm(NormLayer):
    """Divide by the root mean square of the channels.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1; with `center` beta `(C,)`
    from 0. No state; prediction is the same as training.

    Args:
        over: The `channels` at each position on their own, or `all` channels and positions together.
        epsilon: Added to the mean square, or to its root.
        epsilon_inside: Whether epsilon is added inside the root.
        partial: Share of the channels, the first ones, that the mean is taken over.
        zero_centered_gamma: Whether gamma - 1 is learned, so that the parameter starts at 0.
        scale: Whether gamma is learned.
        center: Whether there is a learned beta.
    """

    def __init__(
        self,
        over: Literal["channels", "all"] = "channels",
        epsilon: PositiveFloat = 1e-6,
        epsilon_inside: bool = True,
        partial: Annotated[float, Field(gt=0, le=1)] = 1.0,
        zero_centered_gamma: bool = False,
        scale: bool = True,
        center: bool = False,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.over = over
        self.epsilon = epsilon
        self.epsilon_inside = epsilon_inside
        self.partial = partial
        self.zero_centered_gamma = zero_centered_gamma
        if zero_centered_gamma:
            self.gamma_initializer = _less_one(self.gamma_initializer)
        self.affine(center=center)

    def prepare(self) -> None:
        """Find how many channels the mean is taken over.

        Raises:
            SpecError: It would be taken over none.
        """
        self._first = int(self.in_channels * self.partial)
        if self._first == 0:
            raise SpecError(
                f"rms: partial {self.partial:g} of the {self.in_channels} channels of a site is none; "
                f"expected at least {1 / self.in_channels:.3g}"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any = None) -> Any:
        """Divide by the root mean square, scale, and shift if there is a beta."""
        planes = as_planes(F, x, self.layout)
        mean = channel_mean(F, F.square(planes), self.in_channels, self.layout, self._first)
        if self.over == "all" and self.layout != "NC":
            mean = F.broadcast_like(F.mean(mean, axis=(2, 3), keepdims=True), mean)
        if self.zero_centered_gamma:
            gamma = gamma + 1
        y = planes * broadcast_plane(F, self._inverse_root(F, mean), gamma, self.in_channels, self.layout)
        y = from_planes(F, y, x, self.layout)
        if beta is None:
            return y
        return scale_shift(F, y, constant(F, x, 1.0, self.in_channels), beta, self.in_channels)

    def _inverse_root(self, F: Any, mean: Any) -> Any:
        if self.epsilon_inside:
            return F.rsqrt(mean + self.epsilon)
        return 1 / (F.sqrt(mean + _TINY) + self.epsilon)


def _less_one(initializer: Initializer) -> Initializer:
    """How gamma - 1 starts where gamma starts so."""
    if callable(initializer):
        return lambda shape, generator: initializer(shape, generator) - 1
    return {"ones": 0.0, "zeros": -1.0}[initializer] if isinstance(initializer, str) else initializer - 1


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `rms`."""
    yield Norm(
        "rms",
        layer=RMSNorm,
        title="Root mean square normalization",
        formula="y = gamma x / sqrt(mean_C(x^2) + epsilon)",
        authors="Zhang, Sennrich",
        venue="NeurIPS",
        year=2019,
        paper="arXiv:1910.07467",
        paper_title="Root Mean Square Layer Normalization",
    )
