"""Optimizers that MXNet lacks, or has with a mistake, in its own form so that a `gluon.Trainer` drives them.

The new weight follows from weight, gradient, arrays of state, rate and step alone: nothing else is to be stored for a
run to resume. All are for the gradient of what a step minimizes, which is rescaled no further.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from normlab.backend.mxnet import mxnet

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
        move_average(gradients, nd.square(gradient), self.smoothing)
        delta = nd.sqrt(steps + self.epsilon) / nd.sqrt(gradients + self.epsilon) * gradient
        move_average(steps, nd.square(delta), self.smoothing)
        weight -= rate * delta


def move_average(average: Any, value: Any, keep: float) -> None:
    """Move an average towards a value, in place."""
    average *= keep
    average += (1 - keep) * value
