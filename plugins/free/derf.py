"""Dynamic erf (Chen, Lu, Zhu, Sun and Liu, "Stronger Normalization-Free Transformers", 2025, arXiv:2512.10938), eq. 10.

    y = gamma f(alpha x + s) + beta, with f = erf

alpha and s are one number each for the whole layer. Prediction is the same as training; there is no state. The paper
found erf by comparing functions that are odd, bounded and increasing; `function` offers those of the authors' code, by
their names there, with u = alpha x + s:

    tanh         tanh(u)                     isru          u / sqrt(1 + u^2)
    arctan       (2 / pi) arctan(u)          relsign       u / (1 + sqrt(1 + u^2))
    satursin     sin(u in -pi/2 .. pi/2)     smoothsign    u / (1 + |u|)
    expsign      sgn(u) (1 - exp(-|u|))      cubsign       u^3 / (1 + |u|^3)
    exproot      sgn(u) (1 - exp(-|u|^1/2))  saturlog      sgn(u) l / (1 + l), l = log(1 + |u|)

and, each cut off at -1 and 1, linear_clip u, power23_clip sgn(u) |u|^(2/3), logsign_clip sgn(u) log(1 + |u|) and
logquad_clip sgn(u) log(1 + u^2). (Their smoothsign_clip cuts off nothing: it is smoothsign.)

Conventions: the paper starts alpha at 0.5 and s at 0. Where a derivative is infinite, of exproot and power23_clip at
u = 0, none is passed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import constant, scale_shift

#: Added to |u| where it has a root, whose derivative at 0 has to stay finite.
_TINY = 1e-30


def _sized(F: Any, u: Any, size: Any) -> Any:
    """What has the sign of u and a given size."""
    return F.sign(u) * size


def _saturlog(F: Any, u: Any) -> Any:
    logarithm = F.log(1 + F.abs(u))
    return _sized(F, u, logarithm / (1 + logarithm))


_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "erf": lambda F, u: F.erf(u),
    "tanh": lambda F, u: F.Activation(u, act_type="tanh"),
    "arctan": lambda F, u: F.arctan(u) * (2 / math.pi),
    "isru": lambda F, u: u * F.rsqrt(1 + F.square(u)),
    "satursin": lambda F, u: F.sin(F.clip(u, -math.pi / 2, math.pi / 2)),
    "relsign": lambda F, u: u / (1 + F.sqrt(1 + F.square(u))),
    "smoothsign": lambda F, u: u / (1 + F.abs(u)),
    "expsign": lambda F, u: _sized(F, u, 1 - F.exp(-F.abs(u))),
    "exproot": lambda F, u: _sized(F, u, 1 - F.exp(-F.sqrt(F.abs(u) + _TINY))),
    "cubsign": lambda F, u: u**3 / (1 + F.abs(u) ** 3),
    "saturlog": _saturlog,
    "linear_clip": lambda F, u: F.clip(u, -1, 1),
    "power23_clip": lambda F, u: F.clip(_sized(F, u, (F.abs(u) + _TINY) ** (2 / 3)), -1, 1),
    "logsign_clip": lambda F, u: F.clip(_sized(F, u, F.log(1 + F.abs(u))), -1, 1),
    "logquad_clip": lambda F, u: F.clip(_sized(F, u, F.log(1 + F.square(u))), -1, 1),
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
        function: Literal[
            "erf",
            "tanh",
            "arctan",
            "isru",
            "satursin",
            "relsign",
            "smoothsign",
            "expsign",
            "exproot",
            "cubsign",
            "saturlog",
            "linear_clip",
            "power23_clip",
            "logsign_clip",
            "logquad_clip",
        ] = "erf",
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

    def hybrid_forward(self, F: Any, x: Any, alpha: Any, s: Any, gamma: Any, beta: Any) -> Any:
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
