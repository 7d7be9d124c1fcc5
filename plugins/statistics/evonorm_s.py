"""EvoNorm, the S series (Liu, Brock, Simonyan and Le, NeurIPS 2020, arXiv:2004.02967), table 1 and appendix.

    S0: y = gamma x sigmoid(v x) / std_G + beta
    S1: y = gamma x sigmoid(x) / std_G + beta
    S2: y = gamma x sigmoid(x) / rms_G + beta

std = sqrt(var + epsilon), rms = sqrt(mean(x^2) + epsilon), over a group of adjacent channels and all positions of one
example. The layer is norm and activation in one. Where a network has no activation after the norm it is
y = gamma x + beta, as in the authors' code; the variants S0a, S1a and S2a, of timm, divide there too:
y = gamma x / std_G + beta. Prediction is the same as training; there is no state.

Conventions: epsilon, 1e-5, is inside the roots (timm has 1e-3 for the a variants). The variance is biased. 32 groups,
as in timm and the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import (
    constant,
    example_scale_shift,
    group_mean,
    group_moments,
    position_moments,
    repeat_for_examples,
    scale_shift,
)


class EvoNormS(NormLayer):
    """Gate x by its sigmoid and divide by the deviation of its group; what all of the series share.

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, in S0 and S0a v `(C,)` from 1.
    No state; prediction is the same as training.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    layouts = ("NCHW",)
    replaces_activation = True
    #: Whether the gate has a learned slope.
    has_slope: ClassVar[bool] = False
    #: Whether it divides by the root mean square instead of the standard deviation.
    by_mean_square: ClassVar[bool] = False
    #: Whether it divides where there is no activation too.
    always_divides: ClassVar[bool] = False

    def __init__(self, groups: PositiveInt = 32, epsilon: PositiveFloat = 1e-5, **site: Any) -> None:
        super().__init__(**site)
        self.groups = groups
        self.epsilon = epsilon
        self.is_active = self.activation not in (None, "identity")
        self.affine()
        if self.is_active and self.has_slope:
            self.parameter("v", "ones")

    def prepare(self) -> None:
        """Settle the groups.

        Raises:
            SpecError: The groups do not divide the channels.
        """
        if self.in_channels % self.groups:
            raise SpecError(
                f"evonorm: groups {self.groups} does not divide the {self.in_channels} channels of a site; "
                "expected a number of groups that does"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, v: Any = None) -> Any:
        """Gate, divide, scale and shift."""
        channels = self.in_channels
        gated = self._gated(F, x, v) if self.is_active else x
        if not self.is_active and not self.always_divides:
            return scale_shift(F, x, gamma, beta, channels)
        scale = F.rsqrt(self._spread(F, x) + self.epsilon) * repeat_for_examples(F, gamma, self._like(F, x))
        y = example_scale_shift(F, gated, scale, F.zeros_like(scale), channels)
        return scale_shift(F, y, constant(F, x, 1.0, channels), beta, channels)

    def _gated(self, F: Any, x: Any, v: Any) -> Any:
        inner = x if v is None else scale_shift(F, x, v, constant(F, x, 0.0, self.in_channels), self.in_channels)
        return x * F.Activation(inner, act_type="sigmoid")

    def _spread(self, F: Any, x: Any) -> Any:
        """The variance of each group, or its mean square, `(N, C)`."""
        of = position_moments(F, x, self.in_channels)
        if self.by_mean_square:
            return group_mean(F, of.variance + F.square(of.mean), self.groups)
        return group_moments(F, of, self.groups).variance

    @staticmethod
    def _like(F: Any, x: Any) -> Any:
        """Any array of shape `(N, C)`."""
        return F.BlockGrad(
            F.reshape(F.slice_axis(F.reshape(x, shape=(0, 0, -1)), axis=2, begin=0, end=1), shape=(0, 0))
        )


class EvoNormS0(EvoNormS):
    """EvoNorm S0: x sigmoid(v x) / std_G; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    has_slope = True


class EvoNormS0a(EvoNormS0):
    """EvoNorm S0, which divides without an activation too; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    always_divides = True


class EvoNormS1(EvoNormS):
    """EvoNorm S1: x sigmoid(x) / std_G; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """


class EvoNormS1a(EvoNormS1):
    """EvoNorm S1, which divides without an activation too; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    always_divides = True


class EvoNormS2(EvoNormS):
    """EvoNorm S2: x sigmoid(x) / rms_G; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    by_mean_square = True


class EvoNormS2a(EvoNormS2):
    """EvoNorm S2, which divides without an activation too; see `EvoNormS`.

    Args:
        groups: Number of groups G.
        epsilon: Added inside the root.
    """

    always_divides = True


_FORMULAS = {
    "s0": "y = gamma x sigmoid(v x) / std_G + beta",
    "s1": "y = gamma x sigmoid(x) / std_G + beta",
    "s2": "y = gamma x sigmoid(x) / rms_G + beta",
}


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `evonorm_s0`, `s0a`, `s1`, `s1a`, `s2` and `s2a`."""
    for layer in (EvoNormS0, EvoNormS0a, EvoNormS1, EvoNormS1a, EvoNormS2, EvoNormS2a):
        name = layer.__name__[len("EvoNorm") :].lower()
        yield Norm(
            f"evonorm_{name}",
            layer=layer,
            title=f"EvoNorm {name[:2].upper()}{name[2:]}",
            formula=_FORMULAS[name[:2]],
            authors="Liu, Brock, Simonyan, Le",
            venue="NeurIPS",
            year=2020,
            paper="arXiv:2004.02967",
            paper_title="Evolving Normalization-Activation Layers",
        )
