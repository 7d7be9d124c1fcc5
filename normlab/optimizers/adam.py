"""Adam and its relatives: averages of gradients and of their squares, corrected for their start at 0."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, ClassVar

from pydantic import NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet
from normlab.optimizers.base import Fraction, Optimizer, move_average


class Adam(Optimizer):
    """Adam: `w = w - learning_rate m' / (sqrt(v') + epsilon)`.

    `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, `m' = m / (1 - beta1^t)`, `v' = v / (1 - beta2^t)`.
    Kingma and Ba (ICLR 2015, arXiv:1412.6980), algorithm 1. MXNet adds epsilon to sqrt(v) instead, so that it weighs
    up to 30 times more in the first steps. Weight decay is part of g; in `adamw` it is separate.

    Args:
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the average of squares that the next step keeps.
        epsilon: Added to the corrected root.
    """

    learning_rate: PositiveFloat = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-8
    states: ClassVar[int] = 2

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m' / (sqrt(v') + epsilon)`."""
        # the operator corrects nothing: numerator and denominator are both multiplied by sqrt(1 - beta2^t)
        correction = math.sqrt(1 - self.beta2**step)
        mxnet().nd.adam_update(
            weight,
            gradient,
            *state,
            out=weight,
            lr=rate * correction / (1 - self.beta1**step),
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon * correction,
        )


class AdamW(Adam):
    """Adam with weight decay separate from the gradient: `w = (1 - learning_rate weight_decay) w` before Adam's step.

    Loshchilov and Hutter (ICLR 2019, arXiv:1711.05101), algorithm 2; the decay is multiplied by the learning rate, as
    in PyTorch and Optax, while the paper multiplies it by the schedule's factor only.

    Args:
        weight_decay: Share of a weight that a step with learning rate 1 would remove.
    """

    weight_decay: NonNegativeFloat = 0.01
    decoupled: ClassVar[bool] = True


class AdaMax(Adam):
    """Adam with the greatest gradient in place of the mean square: `w = w - learning_rate m / ((1 - beta1^t) u)`.

    `m = beta1 m + (1 - beta1) g`, `u = max(beta2 u, |g| + epsilon)`. Kingma and Ba (ICLR 2015, arXiv:1412.6980),
    algorithm 2, which has no epsilon; without it, as in MXNet, a weight without a gradient becomes NaN.

    Args:
        beta2: Share of the greatest gradient that the next step keeps.
        epsilon: Added to the size of the gradient.
    """

    learning_rate: PositiveFloat = 0.002

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m / ((1 - beta1^t) u)`."""
        nd = mxnet().nd
        mean, greatest = state
        move_average(mean, gradient, self.beta1)
        nd.maximum(self.beta2 * greatest, nd.abs(gradient) + self.epsilon).copyto(greatest)
        weight -= rate / (1 - self.beta1**step) * mean / greatest


class Nadam(Adam):
    """Adam with Nesterov's momentum, which grows from beta1 / 2 to beta1.

    m and v as in Adam, `b_t = beta1 (1 - 0.96^(t momentum_decay) / 2)`, `p_t = b_1 b_2 ... b_t`,
    `m' = b_(t+1) m / (1 - p_(t+1)) + (1 - b_t) g / (1 - p_t)`, `v' = v / (1 - beta2^t)`,
    `w = w - learning_rate m' / (sqrt(v') + epsilon)`. Dozat (ICLR workshop 2016), algorithm 2. MXNet multiplies p once
    for each parameter of the network in a step; here it is multiplied once a step.

    Args:
        momentum_decay: How fast the momentum grows.
    """

    momentum_decay: NonNegativeFloat = 0.004

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m' / (sqrt(v') + epsilon)`, with the momentum of the next step in m'."""
        nd = mxnet().nd
        mean, square = state
        move_average(mean, gradient, self.beta1)
        move_average(square, nd.square(gradient), self.beta2)
        ahead = self._momentum(step + 1) / (1 - self._product(step + 1))
        now = (1 - self._momentum(step)) / (1 - self._product(step))
        root = nd.sqrt(square / (1 - self.beta2**step)) + self.epsilon
        weight -= rate * (ahead * mean + now * gradient) / root

    def _momentum(self, step: int) -> float:
        return self.beta1 * (1 - math.pow(0.96, step * self.momentum_decay) / 2)

    def _product(self, step: int) -> float:
        """Return the product of the momenta of all steps up to this one; products are kept to save time."""
        while len(self._products) <= step:
            self._products.append(self._products[-1] * self._momentum(len(self._products)))
        return self._products[step]

    @cached_property
    def _products(self) -> list[float]:
        return [1.0]


class LAMB(Adam):
    """Adam with a learning rate for each layer: `w = w - learning_rate |w| / |u| u`.

    `u = m' / (sqrt(v') + epsilon) + weight_decay w`, with m' and v' as in Adam, norms over a whole parameter, and
    `|w| / |u| = 1` where one of them is 0. You et al. (ICLR 2020, arXiv:1904.00962), algorithm 2. Weight decay is part
    of u, not of g. Scales, shifts and biases have rates of their own too.

    Args:
        weight_decay: Share of a weight that is added to u.
    """

    epsilon: PositiveFloat = 1e-6
    elementwise: ClassVar[bool] = False

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's LAMB."""
        return mxnet().optimizer.LAMB(
            learning_rate=self.learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            wd=self.weight_decay,
        )
