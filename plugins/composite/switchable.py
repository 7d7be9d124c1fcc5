"""Switchable normalization (Luo, Ren, Peng, Zhang and Li, ICLR 2019, arXiv:1806.10779).

    y = gamma (x - mean) / sqrt(var + epsilon) + beta,   mean = sum_k w_k mean_k,   var = sum_k w'_k var_k

k is the instance (positions of a channel of an example), the layer (all of an example) and the batch (a channel over
the batch and all positions); without positions, layout NC, layer and batch. w and w' are the softmax of learned
weights, for all channels alike, in this order. In prediction running statistics stand for those of the batch.

Conventions: epsilon is inside the root. The variances are biased in the paper; the authors' code takes the instance's
without bias and derives the other two from it, in NC both without bias: `unbiased`. Both weights start at 1, and
running_var at 0, as in that code. It takes the running averages as they are; the paper prefers an average over many
batches after training with the weights at rest, which is not the method's but evaluation's. `momentum` is the share
that is kept, 0.9 in the code for images (0.997 for vectors).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Moments,
    batch_moments,
    example_moments,
    group_moments,
    moving_average,
    number_examples,
    repeat_for_examples,
    standardize_examples,
    values_per_channel,
)


class SwitchableNorm(NormLayer):
    """Standardize by a learned mixture of instance, layer and batch statistics.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0,
    mean_weight and var_weight `(3,)` from 1, in layout NC `(2,)`. State: running_mean and running_var `(C,)` from 0.

    Args:
        epsilon: Added to the mixed variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        unbiased: Whether variances are without bias, as in the authors' code.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        unbiased: bool = False,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.unbiased = unbiased
        self.affine()
        kinds = 2 if self.layout == "NC" else 3
        self.parameter("mean_weight", "ones", shape=lambda _: (kinds,))
        self.parameter("var_weight", "ones", shape=lambda _: (kinds,))
        self.state("running_mean", "zeros")
        self.state("running_var", "zeros")

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        gamma: Any,
        beta: Any,
        mean_weight: Any,
        var_weight: Any,
        running_mean: Any,
        running_var: Any,
    ) -> Any:
        """Mix statistics, standardize, scale and shift."""
        instance = self._of_instances(F, x)
        layer = self._of_layers(F, group_moments(F, instance, 1))
        running = Moments(F.BlockGrad(running_mean), F.BlockGrad(running_var))
        batch = self._of_batch(F, x, instance, running) if self.training else running
        batch = Moments(*(repeat_for_examples(F, value, instance.mean) for value in batch))
        kinds = [layer, batch] if self.layout == "NC" else [instance, layer, batch]
        of = Moments(
            _mixed(F, mean_weight, [kind.mean for kind in kinds]),
            _mixed(F, var_weight, [kind.variance for kind in kinds]),
        )
        return standardize_examples(F, x, of, gamma, beta, self.in_channels, self.epsilon, self.layout)

    def _of_instances(self, F: Any, x: Any) -> Moments:
        of = example_moments(F, x, self.in_channels, self.layout)
        if not self.unbiased or self.layout == "NC":
            return of
        positions = F.broadcast_div(values_per_channel(F, x), number_examples(F, x)[1])
        return Moments(of.mean, F.broadcast_mul(of.variance, _unbiasing(F, positions, dimensions=2)))

    def _of_layers(self, F: Any, of: Moments) -> Moments:
        if not self.unbiased or self.layout != "NC":
            return of
        return Moments(of.mean, of.variance * (self.in_channels / max(self.in_channels - 1, 1)))

    def _of_batch(self, F: Any, x: Any, instance: Moments, running: Moments) -> Moments:
        of = batch_moments(F, instance)
        if self.unbiased and self.layout == "NC":
            of = Moments(of.mean, F.broadcast_mul(of.variance, _unbiasing(F, number_examples(F, x)[1], dimensions=1)))
        self.update(
            running_mean=moving_average(running.mean, of.mean, self.momentum),
            running_var=moving_average(running.variance, of.variance, self.momentum),
        )
        return of


def _unbiasing(F: Any, count: Any, *, dimensions: int) -> Any:
    """The factor m / (m - 1) for m values, `(1,)` or `(1, 1)`; 1 for a single one, whose variance is 0."""
    factor = F.broadcast_div(count, F.broadcast_maximum(count - 1, F.ones_like(count)))
    return F.reshape(factor, shape=(1,) * dimensions)


def _mixed(F: Any, weight: Any, values: Sequence[Any]) -> Any:
    """Sum of values `(N, C)` with shares by softmax of `(len(values),)`."""
    rows = F.reshape(F.stack(*values, axis=0), shape=(0, -1))
    shares = F.expand_dims(F.softmax(weight, axis=0), axis=0)
    return F.reshape_like(F.dot(shares, rows), values[0])


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `switchable`."""
    yield Norm(
        "switchable",
        layer=SwitchableNorm,
        title="Switchable normalization",
        formula="y = gamma (x - sum_k w_k mean_k) / sqrt(sum_k w'_k var_k + epsilon) + beta",
        authors="Luo, Ren, Peng, Zhang, Li",
        venue="ICLR",
        year=2019,
        paper="arXiv:1806.10779",
        paper_title="Differentiable Learning-to-Normalize via Switchable Normalization",
    )
