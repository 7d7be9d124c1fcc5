"""Dynamic erf (Chen, Lu, Zhu, Sun and Liu, "Stronger Normalization-Free Transformers", 2025, arXiv:2512.10938), eq. 10.

    y = gamma f(alpha x + s) + beta, with f = erf

alpha and s are one number each for the whole layer. Prediction is the same as training; there is no state. The paper
found erf by comparing odd, bounded, increasing functions; `function` offers some that it compares with.

Conventions: the paper starts alpha at 0.5 and s at 0. Of the functions, tanh, arctan (times 2 / pi, so that it ends at
1), isru (u / sqrt(1 + u^2)) and clip (to [-1, 1]) are here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveFloat

from normlab.catalog.hookspecs import hookimpl
from normlab.kernels import scale_shift
from normlab.norm import Norm, NormLayer
from normlab.norm_state import constant

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTIONS = {
    "erf": lambda F, u: F.erf(u),
    "tanh": lambda F, u: F.Activation(u, act_type="tanh"),
    "arctan": lambda F, u: F.arctan(u) * (2 / math.pi),
    "isru": lambda F, u: u * F.rsqrt(1 + F.square(u)),
    "clip": lambda F, u: F.clip(u, -1, 1),
}


class DynamicErf(NormLayer):
    """Squash every activation by an erf of learned width and place.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: alpha `(1,)` from `alpha`, s `(1,)` from
    `shift`, gamma `(C,)` from 1, beta `(C,)` from 0. No state; prediction is the same as training.

    Args:
        function: What squashes.
        alpha: How alpha starts.
        shift: How s starts.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(
        self,
        function: Literal["erf", "tanh", "arctan", "isru", "clip"] = "erf",
        alpha: PositiveFloat = 0.5,
        shift: float = 0.0,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.function = function
        self.parameter("alpha", alpha, shape=lambda _: (1,))
        self.parameter("s", shift, shape=lambda _: (1,))
        self.affine()

    def hybrid_forward(  # type: ignore[override] # takes what it declared
        self, F: Any, x: Any, alpha: Any, s: Any, gamma: Any, beta: Any
    ) -> Any:
        """Squash, scale and shift."""
        ones = constant(F, x, 1.0, self.in_channels)
        widths, places = F.broadcast_mul(ones, alpha), F.broadcast_mul(ones, s)
        squashed = _FUNCTIONS[self.function](F, scale_shift(F, x, widths, places, self.in_channels))
        return scale_shift(F, squashed, gamma, beta, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `derf`."""
    yield Norm(
        "derf",
        layer=DynamicErf,
        title="Dynamic erf",
        formula="y = gamma erf(alpha x + s) + beta",
        authors="Chen, Lu, Zhu, Sun, Liu",
        venue="arXiv",
        year=2025,
        paper="arXiv:2512.10938",
        paper_title="Stronger Normalization-Free Transformers",
    )
