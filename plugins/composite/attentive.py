"""Attentive normalization (Li, Sun and Wu, ECCV 2020, arXiv:1908.01259), after batch normalization.

    y = sum_k s_k (gamma_k x_B + beta_k),   x_B = (x - mean_B) / sqrt(var_B + epsilon)
    s = hard sigmoid(BN(W d)),   d_c = mean_I(x_c) / sqrt(var_I(x_c) + deviation_epsilon)

K kinds of scale and shift, of which each example has its own mixture: s is K numbers for each example, from a
description of its C maps. mean_B and the biased var_B are taken over the batch and all positions; mean_I and the
unbiased var_I over the positions of a map. The hard sigmoid is (x + 3) / 6 between 0 and 1. In prediction running
statistics stand for those of the batch, in both batch normalizations.

Conventions, those of the authors' code: gamma starts around 1 and beta around 0, normally with deviation 0.1; W by He's
normal distribution for K outputs. A network that asks for gammas from 0 gets zeros. Maps are described by mean over
deviation; without `by_deviation` by the mean alone. K is 10, as where that code is used. epsilon, 1e-5, is inside the
roots; `momentum` is the share that is kept; running variances follow the unbiased estimate. The paper has the method
after group normalization too, which is not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Callable

from pydantic import Field, PositiveFloat, PositiveInt

from normlab import BatchLayer, Norm, hookimpl
from normlab.ops import (
    constant,
    example_scale_shift,
    number_examples,
    position_mean,
    position_moments,
    values_per_channel,
)

#: Standard deviation of the scales and shifts at the start.
_SPREAD = 0.1


class AttentiveNorm(BatchLayer):
    """Standardize each channel over the batch, and scale and shift each example by its own mixture.

    Shapes: x and y `(N, C, H, W)`. Parameters: gamma `(K, C)` around 1, beta `(K, C)` around 0, attention_weight
    `(K, C)`, attention_gamma `(K,)` from 1, attention_beta `(K,)` from 0. State: running_mean `(C,)` from 0,
    running_var `(C,)` from 1, attention_running_mean `(K,)` from 0, attention_running_var `(K,)` from 1.

    Args:
        kinds: Number of scales and shifts K.
        by_deviation: Whether maps are described by mean over deviation, not by the mean alone.
        deviation_epsilon: Added to the variance of a map, inside the root.
        epsilon: Added to the variances of batches, inside the roots.
        momentum: Share of the running statistics that each training step keeps.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW",)

    def __init__(
        self,
        kinds: PositiveInt = 10,
        by_deviation: bool = True,
        deviation_epsilon: PositiveFloat = 1e-3,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.kinds = kinds
        self.by_deviation = by_deviation
        self.deviation_epsilon = deviation_epsilon
        gamma = _normal(1.0, _SPREAD) if self.gamma_initializer == "ones" else self.gamma_initializer
        beta = _normal(0.0, _SPREAD) if self.beta_initializer == "zeros" else self.beta_initializer
        self.parameter("gamma", gamma, shape=self._of_kinds, trainable=self.scale)
        self.parameter("beta", beta, shape=self._of_kinds, trainable=self.center)
        self.parameter("attention_weight", _normal(0.0, (2 / kinds) ** 0.5), shape=self._of_kinds)
        for name, start in (("gamma", "ones"), ("beta", "zeros")):
            self.parameter(f"attention_{name}", start, shape=lambda _: (kinds,))
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")
        for name, start in (("mean", "zeros"), ("var", "ones")):
            self.state(f"attention_running_{name}", start, shape=lambda _: (kinds,))

    def _of_kinds(self, channels: int) -> tuple[int, int]:
        return (self.kinds, channels)

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, **attention: Any
    ) -> Any:
        """Standardize, and mix scales and shifts for each example."""
        ones, zeros = (constant(F, x, fill, self.in_channels) for fill in (1.0, 0.0))
        y = self.standardized(F, x, ones, zeros, running_mean, running_var)
        shares = self._shares(F, self._described(F, x), **attention)
        return example_scale_shift(F, y, F.dot(shares, gamma), F.dot(shares, beta), self.in_channels)

    def _described(self, F: Any, x: Any) -> Any:
        """What the mixture of an example depends on, `(N, C)`."""
        if not self.by_deviation:
            return position_mean(F, x, self.in_channels)
        of = position_moments(F, x, self.in_channels)
        positions = F.broadcast_div(values_per_channel(F, x), number_examples(F, x)[1])
        unbiasing = F.broadcast_div(positions, F.broadcast_maximum(positions - 1, F.ones_like(positions)))
        variance = F.broadcast_mul(of.variance, F.reshape(unbiasing, shape=(1, 1)))
        return of.mean * F.rsqrt(variance + self.deviation_epsilon)

    def _shares(self, F: Any, described: Any, **attention: Any) -> Any:
        """The mixture of each example, `(N, K)`."""
        scores = F.FullyConnected(described, attention["attention_weight"], no_bias=True, num_hidden=self.kinds)
        scores = self.standardized(
            F,
            scores,
            attention["attention_gamma"],
            attention["attention_beta"],
            attention["attention_running_mean"],
            attention["attention_running_var"],
            which="attention_",
        )
        return F.clip((scores + 3) / 6, 0, 1)


def _normal(mean: float, deviation: float) -> Callable[..., Any]:
    """An initializer that draws from a normal distribution."""

    def draw(shape: tuple[int, ...], generator: Any) -> Any:
        return generator.normal(mean, deviation, shape)

    return draw


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `attentive`."""
    yield Norm(
        "attentive",
        layer=AttentiveNorm,
        title="Attentive normalization",
        formula="y = sum_k s_k (gamma_k BN(x) + beta_k), s = hard sigmoid(BN(W d(x)))",
        authors="Li, Sun, Wu",
        venue="ECCV",
        year=2020,
        paper="arXiv:1908.01259",
        paper_title="Attentive Normalization",
    )
