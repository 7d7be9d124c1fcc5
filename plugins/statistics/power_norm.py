"""Power normalization (Shen, Yao, Gholami, Mahoney and Keutzer, ICML 2020, arXiv:2003.07845), algorithm 2.

    h = x / sqrt(mean_C(x^2) + epsilon)
    z = h / sqrt(psi + epsilon),   y = gamma z + beta
    d = gamma dL/dy - (1 - a) nu z,   dL/dh = d / sqrt(mean_B(h^2) + epsilon),   nu grows by mean_B(d z)

mean_C is taken over the channels at each position, mean_B over the batch and all positions for each channel; psi is
the running average of mean_B(h^2), a how much of the gradient's part along z is kept. No mean is subtracted. The
backward pass is the paper's own: nu stands for what the derivative of the batch's statistic would have given. In
prediction psi is as training left it.

Conventions, as in the authors' code, which they made for sequences: up to `warm_up` steps mean_B(h^2) itself scales, as
in batch normalization without centring, and psi starts as the plain mean over the steps. The backward pass divides by
the batch's root mean square, also where psi divides forwards. `momentum` and `backward_momentum` are shares that are
kept, 0.9 both. epsilon is inside the roots. Channels are scaled before as one group. On maps each position counts as a
token of a sequence does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    apply_custom_gradient,
    as_planes,
    broadcast_plane,
    channel_mean,
    constant,
    from_planes,
    moving_average,
    position_sum,
    scale_shift,
    values_per_channel,
)


class _Scales(NamedTuple):
    """What a batch is scaled by, `(C,)` each.

    Attributes:
        square: mean_B(h^2).
        forwards: 1 over the root that divides forwards.
        backwards: 1 over the root that divides backwards.
    """

    square: Any
    forwards: Any
    backwards: Any


class PowerNorm(NormLayer):
    """Divide each channel by its running root mean square.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_square `(C,)` from 1, running_gradient `(C,)` from 0, which the backward pass moves, steps `(1,)`
    from 0.

    Args:
        epsilon: Added to mean squares, inside the roots.
        momentum: Share of the running mean square that each training step keeps.
        backward_momentum: Share of the gradient along z that a step keeps, the paper's alpha backwards.
        warm_up: Steps in which the batch's own mean square scales.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    hybridizable = False

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        backward_momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        warm_up: NonNegativeInt = 10000,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.backward_momentum = backward_momentum
        self.warm_up = warm_up
        self.affine()
        self.state("running_square", "ones")
        self.state("running_gradient", "zeros")
        self.state("steps", "zeros", shape=lambda _: (1,))

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_square: Any, running_gradient: Any, steps: Any
    ) -> Any:
        """Divide twice, scale and shift, and in training move the statistics."""
        h = self._scaled(F, x)
        if not self.training:
            return scale_shift(F, h, gamma * F.rsqrt(running_square + self.epsilon), beta, self.in_channels)

        def forward(gamma: Any, beta: Any, running_gradient: Any) -> Any:
            return self._pass(F, h, gamma, beta, running_gradient, self._scales(F, h, running_square, steps))

        return apply_custom_gradient(forward, h, (gamma, beta), (running_gradient,))

    def _scaled(self, F: Any, x: Any) -> Any:
        planes = as_planes(F, x, self.layout)
        inverse_root = F.rsqrt(channel_mean(F, F.square(planes), self.in_channels, self.layout) + self.epsilon)
        ones = constant(F, x, 1.0, self.in_channels)
        y = planes * broadcast_plane(F, inverse_root, ones, self.in_channels, self.layout)
        return from_planes(F, y, x, self.layout)

    def _scales(self, F: Any, h: Any, running_square: Any, steps: Any) -> _Scales:
        """Move the running mean square, and say how h is scaled."""
        step = steps + 1
        square = self._mean(F, F.square(h))
        before = running_square
        if self.warm_up:
            # up to the last step but one of the warm-up, the plain mean of the steps
            mean = running_square + F.broadcast_div(square - running_square, step)
            before = F.where(F.broadcast_like(step < self.warm_up, square), mean, running_square)
        self.update(running_square=moving_average(before, square, self.momentum), steps=step)
        chosen = F.where(F.broadcast_like(step <= self.warm_up, square), square, running_square)
        return _Scales(square, F.rsqrt(chosen + self.epsilon), F.rsqrt(square + self.epsilon))

    def _pass(self, F: Any, h: Any, gamma: Any, beta: Any, running_gradient: Any, scales: _Scales) -> Any:
        """The output, and the backward pass from its gradient."""
        square, forwards, backwards = scales
        lost = (1 - self.backward_momentum) * running_gradient * forwards

        def backward(gradient: Any) -> Sequence[Any]:
            along = self._mean(F, gradient * h) * forwards
            zeros, count = F.zeros_like(gamma), values_per_channel(F, h)
            towards = scale_shift(F, gradient, gamma * backwards, zeros, self.in_channels)
            off = scale_shift(F, h, lost * backwards, zeros, self.in_channels)
            of_gamma, of_beta = (F.broadcast_mul(mean, count) for mean in (along, self._mean(F, gradient)))
            return towards - off, of_gamma, of_beta, running_gradient + gamma * along - lost * square * forwards

        return scale_shift(F, h, gamma * forwards, beta, self.in_channels), backward

    def _mean(self, F: Any, values: Any) -> Any:
        """The mean of each channel over the batch and all positions, `(C,)`."""
        return F.broadcast_div(F.sum(position_sum(F, values, self.in_channels), axis=0), values_per_channel(F, values))


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `power_norm`."""
    yield Norm(
        "power_norm",
        layer=PowerNorm,
        title="Power normalization",
        formula="y = gamma h / sqrt(psi + epsilon) + beta, h = x / sqrt(mean_C(x^2) + epsilon), psi from mean_B(h^2)",
        authors="Shen, Yao, Gholami, Mahoney, Keutzer",
        venue="ICML",
        year=2020,
        paper="arXiv:2003.07845",
        paper_title="PowerNorm: Rethinking Batch Normalization in Transformers",
        expected_failures={
            "gradient_of_input": "the backward pass is the method's own, not the derivative",
            "state_moves_in_training": "running_gradient is a statistic of gradients, which the backward pass moves",
            "state_moves_once": "running_gradient is a statistic of gradients, which the backward pass moves",
        },
    )
