"""Adam and what follows from it, for a `gluon.Trainer` to drive (see `normlab.optimizers.rules`)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from normlab.backend.mxnet import mxnet
from normlab.optimizers.rules import Rule, move_average

nd = mxnet().nd


class Adam(Rule):
    """Adam's algorithm 1; MXNet adds epsilon to the root that is not yet corrected."""

    states: ClassVar[int] = 2

    def __init__(self, beta1: float, beta2: float, epsilon: float, **common: Any) -> None:
        super().__init__(**common)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m' / (sqrt(v') + epsilon)`."""
        # the operator corrects nothing: numerator and denominator are both multiplied by sqrt(1 - beta2^t)
        correction = math.sqrt(1 - self.beta2**step)
        nd.adam_update(
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
    """Adam with weight decay apart from the gradient."""

    decoupled: ClassVar[bool] = True


class AdaMax(Adam):
    """Adam with the greatest gradient in place of the mean square; MXNet divides 0 by 0 where there was none."""

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m / ((1 - beta1^t) u)`."""
        mean, greatest = state
        move_average(mean, gradient, self.beta1)
        nd.maximum(self.beta2 * greatest, nd.abs(gradient) + self.epsilon).copyto(greatest)
        weight -= rate / (1 - self.beta1**step) * mean / greatest


class Nadam(Adam):
    """Adam with Nesterov's momentum; MXNet shares one product of momenta among all parameters."""

    def __init__(self, beta1: float, beta2: float, epsilon: float, momentum_decay: float, **common: Any) -> None:
        super().__init__(beta1, beta2, epsilon, **common)
        self.momentum_decay = momentum_decay
        self._products = [1.0]

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """`w = w - rate m' / (sqrt(v') + epsilon)`, with the momentum of the next step in m'."""
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
        """The product of the momenta of all steps up to this one, kept only to save time."""
        while len(self._products) <= step:
            self._products.append(self._products[-1] * self._momentum(len(self._products)))
        return self._products[step]
