"""EvoNorm, the B series (Liu, Brock, Simonyan and Le, NeurIPS 2020, arXiv:2004.02967), table 1 and appendix.

    B0: y = gamma x / max(std_B, v x + std_I) + beta
    B1: y = gamma x / max(std_B, (x + 1) rms_I) + beta
    B2: y = gamma x / max(std_B, rms_I - x) + beta

std = sqrt(var + epsilon), rms = sqrt(mean(x^2) + epsilon); B over the batch and all positions of a channel, I over the
positions of a channel of one example. The layer is norm and activation in one; where a network has no activation
after the norm, it is y = gamma x + beta, as in the authors' code. In prediction the running variance stands for var_B.

Conventions: epsilon, 1e-5, is inside the roots (timm has 1e-3 for B0, 1e-5 for B1 and B2). `momentum` is the share
that is kept. var_B is biased; the running variance follows the unbiased estimate, as in timm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Moments,
    batch_moments,
    constant,
    example_scale_shift,
    moving_average,
    position_moments,
    repeat_for_examples,
    scale_shift,
    unbiased_variance,
)


class EvoNormB(NormLayer):
    """Divide by the greater of the batch's and the example's deviation; what all of the series share.

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, in B0 v `(C,)` from 1.
    State: running_var `(C,)` from 1.

    Args:
        epsilon: Added inside the roots.
        momentum: Share of the running variance that each training step keeps.
    """

    layouts = ("NCHW",)
    depends_on_batch = True
    replaces_activation = True

    def __init__(
        self, epsilon: PositiveFloat = 1e-5, momentum: Annotated[float, Field(ge=0, le=1)] = 0.9, **site: Any
    ) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.is_active = self.activation not in (None, "identity")
        self.affine()
        if self.is_active:
            self.state("running_var", "ones")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_var: Any = None, **parameters: Any) -> Any:
        """Divide, scale and shift."""
        channels = self.in_channels
        if not self.is_active:
            return scale_shift(F, x, gamma, beta, channels)
        of = position_moments(F, x, channels)
        variance = self._batch_variance(F, x, of, running_var)
        deviation = F.sqrt(variance + self.epsilon)
        slope, offset = self._of_example(F, x, of, **parameters)
        # max(a, b) = relu(b - a) + a, which keeps to the fast kernels
        beyond = example_scale_shift(F, x, slope, offset - repeat_for_examples(F, deviation, of.mean), channels)
        ones = constant(F, x, 1.0, channels)
        greatest = scale_shift(F, F.Activation(beyond, act_type="relu"), ones, deviation, channels)
        return scale_shift(F, x / greatest, gamma, beta, channels)

    def _batch_variance(self, F: Any, x: Any, of: Moments, running_var: Any) -> Any:
        if not self.training:
            return F.BlockGrad(running_var)
        variance = batch_moments(F, of).variance
        self.update(running_var=moving_average(running_var, unbiased_variance(F, x, variance), self.momentum))
        return variance

    def _of_example(self, F: Any, x: Any, of: Moments, **parameters: Any) -> tuple[Any, Any]:
        """What the example's own term multiplies x by and adds, `(N, C)` each."""
        raise NotImplementedError

    def _root_mean_square(self, F: Any, of: Moments) -> Any:
        return F.sqrt(of.variance + F.square(of.mean) + self.epsilon)


class EvoNormB0(EvoNormB):
    """EvoNorm B0: x / max(std_B, v x + std_I).

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma and v `(C,)` from 1, beta `(C,)` from 0. State: running_var
    `(C,)` from 1.

    Args:
        epsilon: Added inside the roots.
        momentum: Share of the running variance that each training step keeps.
    """

    def __init__(
        self, epsilon: PositiveFloat = 1e-5, momentum: Annotated[float, Field(ge=0, le=1)] = 0.9, **site: Any
    ) -> None:
        super().__init__(epsilon, momentum, **site)
        if self.is_active:
            self.parameter("v", "ones")

    def _of_example(self, F: Any, x: Any, of: Moments, **parameters: Any) -> tuple[Any, Any]:
        return repeat_for_examples(F, parameters["v"], of.mean), F.sqrt(of.variance + self.epsilon)


class EvoNormB1(EvoNormB):
    """EvoNorm B1: x / max(std_B, (x + 1) rms_I).

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0. State: running_var `(C,)`
    from 1.

    Args:
        epsilon: Added inside the roots.
        momentum: Share of the running variance that each training step keeps.
    """

    def _of_example(self, F: Any, x: Any, of: Moments, **parameters: Any) -> tuple[Any, Any]:
        rms = self._root_mean_square(F, of)
        return rms, rms


class EvoNormB2(EvoNormB):
    """EvoNorm B2: x / max(std_B, rms_I - x).

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0. State: running_var `(C,)`
    from 1.

    Args:
        epsilon: Added inside the roots.
        momentum: Share of the running variance that each training step keeps.
    """

    def _of_example(self, F: Any, x: Any, of: Moments, **parameters: Any) -> tuple[Any, Any]:
        return -F.ones_like(of.mean), self._root_mean_square(F, of)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `evonorm_b0`, `evonorm_b1` and `evonorm_b2`."""
    for name, layer, formula in (
        ("b0", EvoNormB0, "y = gamma x / max(std_B, v x + std_I) + beta"),
        ("b1", EvoNormB1, "y = gamma x / max(std_B, (x + 1) rms_I) + beta"),
        ("b2", EvoNormB2, "y = gamma x / max(std_B, rms_I - x) + beta"),
    ):
        yield Norm(
            f"evonorm_{name}",
            layer=layer,
            title=f"EvoNorm {name.upper()}",
            formula=formula,
            authors="Liu, Brock, Simonyan, Le",
            venue="NeurIPS",
            year=2020,
            paper="arXiv:2004.02967",
            paper_title="Evolving Normalization-Activation Layers",
        )
