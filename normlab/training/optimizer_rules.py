"""Optimizers that MXNet lacks, or has with a mistake, in its own form so that a `gluon.Trainer` drives them.

The new weight follows from weight, gradient, arrays of state, rate and step alone: nothing else is to be stored for a
run to resume. All are for the gradient of what a step minimizes, which is rescaled no further.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from normlab.compat import mxnet

mx = mxnet()
nd = mx.nd
MXNetOptimizer: Any = mx.optimizer.Optimizer


#: What matrix products take on a processor.
_OF_PRODUCTS = (np.float32, np.float64)


def _row(array: Any) -> Any:
    """The same elements as a table of one row."""
    return array if len(array.shape) == 2 and array.shape[0] == 1 else array.reshape((1, -1))  # noqa: PLR2004


class Rule(MXNetOptimizer):
    """An optimizer whose state is so many arrays of the weight's shape that start at 0."""

    states: ClassVar[int] = 1
    #: Whether weight decay shrinks the weight before the step, instead of being part of the gradient.
    decoupled: ClassVar[bool] = False

    def create_state(self, index: int, weight: Any) -> tuple[Any, ...]:  # noqa: ARG002 - MXNet's signature
        """The state of one parameter at the start."""
        return tuple(nd.zeros(weight.shape, weight.context, dtype=weight.dtype) for _ in range(self.states))

    def update(self, index: int, weight: Any, grad: Any, state: tuple[Any, ...]) -> None:
        """Take one step with one parameter, in place."""
        self._update_count(index)
        rate, decay = self._get_lr(index), self._get_wd(index)
        if decay and self.decoupled:
            weight *= 1 - rate * decay
        elif decay:
            grad = grad + decay * weight
        self.step(weight, grad, state, rate, self._index_update_count[index])

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """Change weight and state.

        Args:
            weight: The weight.
            gradient: Its gradient, weight decay included.
            state: Its state.
            rate: The learning rate.
            step: The step, counted from 1.
        """
        raise NotImplementedError


class SGD(Rule):
    """Gradient descent; MXNet calls an operator for many weights at once, which takes up to three times as long."""

    def __init__(self, momentum: float, **common: Any) -> None:
        super().__init__(**common)
        self.momentum = momentum
        self._ones: dict[Any, Any] = {}

    def create_state(self, index: int, weight: Any) -> tuple[Any, ...]:
        """The momentum, if there is one."""
        return super().create_state(index, weight) if self.momentum else ()

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`v = momentum v - rate g`, `w = w + v`."""
        if state:
            nd.sgd_mom_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)
        elif weight.context.device_type == "cpu" and weight.dtype in _OF_PRODUCTS:
            # the gradient times 1, to which the weight is added: a quarter of the time of `sgd_update` on one thread
            one, row = self._one(weight), _row(weight)
            nd.linalg_gemm(one, _row(gradient), row, out=row, alpha=-rate)
        else:
            nd.sgd_update(weight, gradient, out=weight, lr=rate)

    def _one(self, weight: Any) -> Any:
        kind = (weight.context, weight.dtype)
        if kind not in self._ones:
            self._ones[kind] = nd.ones((1, 1), ctx=weight.context, dtype=weight.dtype)
        return self._ones[kind]


class NAG(Rule):
    """Nesterov's accelerated gradient; MXNet's operator takes the decay of the momentum from the new weight."""

    def __init__(self, momentum: float, **common: Any) -> None:
        super().__init__(**common)
        self.momentum = momentum

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`v = momentum v - rate g`, `w = w + momentum v - rate g`."""
        nd.nag_mom_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)


class Signum(Rule):
    """Sign of the averaged gradient; MXNet's weight decay is part of the gradient with momentum, apart without."""

    decoupled: ClassVar[bool] = True

    def __init__(self, momentum: float, **common: Any) -> None:
        super().__init__(**common)
        self.momentum = momentum

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`m = momentum m + (1 - momentum) g`, `w = w - rate sign(m)`."""
        nd.signum_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)


class AdaGrad(Rule):
    """Gradients over the root of their summed squares; MXNet has weight decay apart."""

    def __init__(self, epsilon: float, **common: Any) -> None:
        super().__init__(**common)
        self.epsilon = epsilon

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`n = n + g^2`, `w = w - rate g / sqrt(n + epsilon)`."""
        (squares,) = state
        squares += nd.square(gradient)
        weight -= rate * gradient / nd.sqrt(squares + self.epsilon)


class AdaDelta(Rule):
    """Gradients in units of past steps; MXNet has no learning rate, so that no schedule would act."""

    states: ClassVar[int] = 2

    def __init__(self, smoothing: float, epsilon: float, **common: Any) -> None:
        super().__init__(**common)
        self.smoothing = smoothing
        self.epsilon = epsilon

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`d = sqrt(s + epsilon) / sqrt(n + epsilon) g`, `w = w - rate d`."""
        gradients, steps = state
        _average(gradients, nd.square(gradient), self.smoothing)
        delta = nd.sqrt(steps + self.epsilon) / nd.sqrt(gradients + self.epsilon) * gradient
        _average(steps, nd.square(delta), self.smoothing)
        weight -= rate * delta


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
        _average(mean, gradient, self.beta1)
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
        _average(mean, gradient, self.beta1)
        _average(square, nd.square(gradient), self.beta2)
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


def _average(average: Any, value: Any, keep: float) -> None:
    """Move an average towards a value, in place."""
    average *= keep
    average += (1 - keep) * value
