"""Moving average batch normalization (Yan, Wan, Zhang, Zhang, Wei and Sun, ICLR 2020, arXiv:2001.06838).

    z = x / sqrt(chi + epsilon),   chi = mean of mean_B(x^2) over the last batches
    y = gamma r z + beta,   r = clip(sqrt(chi + epsilon) / sqrt(chi_run + epsilon), 1 / 5, 5), a constant
    dL/dx = (g - z Psi) / sqrt(chi + epsilon),   g = gamma r dL/dy,   Psi = mean of mean_B(g z) over the last batches

mean_B is taken over the batch and all positions, for each channel. Nothing is subtracted: instead, the weights before
are centred, w - mean(w) over each output unit, which is the method's weight way. The backward pass is the paper's own;
chi and Psi from small batches are too noisy, so both are averages over the last ones. In prediction the running
average chi_run stands for chi, without r.

Conventions, as in the authors' code: `momentum` is the share that is kept, and chi_run averages chi, not the batch's
own. Until `warm_up` steps are taken, and until the buffer is full, chi and Psi are the batch's own. r is 1 up to the
1000th step. epsilon is inside the roots. Their buffer is as long as makes 32 examples: 16 batches of 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, NormWeight, hookimpl
from normlab.ops import (
    apply_custom_gradient,
    constant,
    moving_average,
    position_sum,
    scale_shift,
    unit_scale_shift,
    unit_sum,
    values_per_channel,
)

_CORRECTED_FROM = 1000
_BOUND = 5.0


class _Scales(NamedTuple):
    """What a batch is scaled by.

    Attributes:
        inverse_root: 1 / sqrt(chi + epsilon), `(C,)`.
        r: The correction, `(C,)`.
        slot: Which batch of the buffer it is, `(buffer, 1)`, 1 and elsewhere 0.
        is_warm: Whether it is on its own, `(1,)`.
    """

    inverse_root: Any
    r: Any
    slot: Any
    is_warm: Any


class MovingAverageBatchNorm(NormLayer):
    """Divide each channel by its root mean square over the last batches.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_square `(C,)` from 1, buffer_square and buffer_gradient `(buffer, C)` from 0, of which the last is
    moved by the backward pass, steps `(1,)` from 0.

    Args:
        epsilon: Added to the mean square, inside the root.
        momentum: Share of the running mean square that each training step keeps.
        buffer: How many batches are averaged.
        warm_up: Steps before which each batch is on its own.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    hybridizable = False

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.98,
        buffer: PositiveInt = 16,
        warm_up: NonNegativeInt = 100,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.buffer = buffer
        self.warm_up = warm_up
        self.affine()
        self.state("running_square", "ones")
        for name in ("buffer_square", "buffer_gradient"):
            self.state(name, "zeros", shape=lambda channels: (buffer, channels))
        self.state("steps", "zeros", shape=lambda _: (1,))

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_square: Any, **states: Any) -> Any:
        """Divide, scale and shift, and in training move the statistics."""
        if not self.training:
            return scale_shift(F, x, gamma * F.rsqrt(running_square + self.epsilon), beta, self.in_channels)

        buffer_gradient = states.pop("buffer_gradient")

        def forward(gamma: Any, beta: Any, buffer_gradient: Any) -> Any:
            return self._pass(F, x, gamma, beta, buffer_gradient, self._scales(F, x, running_square, **states))

        return apply_custom_gradient(forward, x, (gamma, beta), (buffer_gradient,))

    def _scales(self, F: Any, x: Any, running_square: Any, buffer_square: Any, steps: Any) -> _Scales:
        """Move the statistics of x, and say how x is scaled."""
        step = steps + 1
        slot = F.reshape(F.one_hot(step % self.buffer, depth=self.buffer, dtype=_type(x)), shape=(-1, 1))
        is_warm = F.maximum(step <= self.buffer, step < self.warm_up)
        own = self._mean(F, F.square(x))
        squares = self._put(F, buffer_square, slot, own)
        square = self._averaged(F, is_warm, own, squares)
        inverse_root = F.rsqrt(square + self.epsilon)
        ratio = F.clip(F.sqrt(running_square + self.epsilon) * inverse_root, 1 / _BOUND, _BOUND)
        corrected = step > max(_CORRECTED_FROM, self.warm_up)
        r = F.broadcast_add(F.broadcast_mul(1 / ratio - 1, corrected), F.ones_like(corrected))
        self.update(
            running_square=moving_average(running_square, square, self.momentum),
            buffer_square=squares,
            steps=step,
        )
        return _Scales(inverse_root, r, slot, is_warm)

    def _pass(self, F: Any, x: Any, gamma: Any, beta: Any, buffer_gradient: Any, scales: _Scales) -> Any:
        """The output, and the backward pass from its gradient."""
        inverse_root, r, slot, is_warm = scales

        def backward(gradient: Any) -> Sequence[Any]:
            along = self._mean(F, gradient * x) * inverse_root * r
            buffered = self._put(F, buffer_gradient, slot, gamma * along)
            psi = self._averaged(F, is_warm, gamma * along, buffered)
            zeros, count = F.zeros_like(gamma), values_per_channel(F, x)
            towards = scale_shift(F, gradient, gamma * r * inverse_root, zeros, self.in_channels)
            off = scale_shift(F, x, psi * F.square(inverse_root), zeros, self.in_channels)
            of_gamma, of_beta = (F.broadcast_mul(mean, count) for mean in (along, self._mean(F, gradient)))
            return towards - off, of_gamma, of_beta, buffered

        return scale_shift(F, x, gamma * r * inverse_root, beta, self.in_channels), backward

    def _mean(self, F: Any, values: Any) -> Any:
        """The mean of each channel over the batch and all positions, `(C,)`."""
        return F.broadcast_div(F.sum(position_sum(F, values, self.in_channels), axis=0), values_per_channel(F, values))

    def _put(self, F: Any, buffer: Any, slot: Any, own: Any) -> Any:
        """A buffer with a batch's own statistic in a slot, `(buffer, C)`."""
        others = F.where(F.broadcast_like(slot, buffer), F.zeros_like(buffer), buffer)
        return others + F.broadcast_mul(slot, F.expand_dims(own, axis=0))

    def _averaged(self, F: Any, is_warm: Any, own: Any, buffered: Any) -> Any:
        return F.where(F.broadcast_like(is_warm, own), own, F.mean(buffered, axis=0))


def _type(x: Any) -> str:
    return str(x.dtype.__name__)


class CentredWeight(NormWeight):
    """Subtract from the weights of each output unit their mean.

    Shapes: weight `(out, in)` or `(out, in / groups, kernel ...)`, and the same out. No parameters, no state;
    prediction is the same as training.
    """

    def hybrid_forward(self, F: Any, weight: Any) -> Any:
        """Centre each unit."""
        sums, count = unit_sum(F, weight)
        ones = constant(F, weight, 1.0, self.out_channels)
        return unit_scale_shift(F, weight, ones, -F.broadcast_div(sums, count), self.out_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `mabn`."""
    yield Norm(
        "mabn",
        layer=MovingAverageBatchNorm,
        weight=CentredWeight,
        title="Moving average batch normalization",
        formula="y = gamma r x / sqrt(chi + epsilon) + beta, chi = mean of mean_B(x^2) over the last batches",
        authors="Yan, Wan, Zhang, Zhang, Wei, Sun",
        venue="ICLR",
        year=2020,
        paper="arXiv:2001.06838",
        paper_title="Towards Stabilizing Batch Statistics in Backward Propagation of Batch Normalization",
        expected_failures={
            "state_moves_in_training": "buffer_gradient is a statistic of gradients, which the backward pass moves",
            "state_moves_once": "buffer_gradient is a statistic of gradients, which the backward pass moves",
        },
    )
