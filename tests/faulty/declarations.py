"""Layers with one fault each in how they are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from faulty.sound import Example
from pydantic import Field

from normlab.norms.ways import NormLayer

if TYPE_CHECKING:
    from collections.abc import Mapping  # noqa: F401 - a name that only type checkers have


class Scaled(Example):
    """Layer normalization with a factor.

    Args:
        factor: Factor of the output.
    """

    def __init__(self, factor: Annotated[float, Field(gt=0)] = 1.0, **site):
        super().__init__(**site)
        self.factor = factor

    def hybrid_forward(self, F, x, **parameters):
        return super().hybrid_forward(F, x, **parameters) * self.factor


class WithoutDefault(Scaled):
    """Has a parameter without a default."""

    def __init__(self, factor: float, **site):
        super().__init__(factor, **site)


class DefaultOutOfBounds(Scaled):
    """Has a default that its own type forbids."""

    def __init__(self, factor: Annotated[float, Field(gt=0)] = -1.0, **site):
        super().__init__(factor, **site)


class DefaultNotInYaml(Scaled):
    """Has a default that YAML cannot represent."""

    def __init__(self, factor: complex = 1 + 0j, **site):
        super().__init__(factor.real, **site)


class TakesAnything(Scaled):
    """Has a parameter that accepts any value."""

    def __init__(self, factor: Any = 1.0, **site):
        super().__init__(factor, **site)


class Unexplained(Scaled):
    """Has a parameter that neither it nor its base describes."""

    def __init__(self, gain: float = 1.0, **site):
        super().__init__(gain, **site)


class WithoutForward(NormLayer):
    """Has no hybrid_forward."""


class DropsLayout(Example):
    """Does not pass the site's layout to its base class."""

    layouts = ("NCHW",)

    def __init__(self, layout: str = "NCHW", **site):
        super().__init__(**site)


class DropsInitializer(NormLayer):
    """Ignores the site's initializer of gamma and whether gamma is trained."""

    layouts = ("NC", "NCHW")

    def __init__(self, **site):
        super().__init__(**site)
        self.parameter("gamma")

    def hybrid_forward(self, F, x, gamma):
        return F.reshape_like(F.broadcast_mul(F.reshape(x, (0, 0, -1)), F.reshape(gamma, (1, -1, 1))), x)


class FixesChannels(Example):
    """Assumes that the number of channels is known when it is built."""

    def __init__(self, **site):
        super().__init__(**site)
        channels = self.in_channels or 1
        self.parameter("offset", "zeros", lambda _: (channels,))

    def hybrid_forward(self, F, x, offset, **parameters):
        y = F.reshape(super().hybrid_forward(F, x, **parameters), (0, 0, -1))
        return F.reshape_like(F.broadcast_add(y, F.reshape(offset, (1, -1, 1))), x)
