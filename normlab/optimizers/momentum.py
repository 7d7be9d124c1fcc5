"""Optimizers with one step size for all elements of a layer: gradient descent and its relatives."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet
from normlab.optimizers.base import Fraction, Optimizer

#: Types that matrix products take on a processor.
_PRODUCT_TYPES = (np.float32, np.float64)


class SGD(Optimizer):
    """Stochastic gradient descent: `v = momentum v - learning_rate g`, `w = w + v`.

    v keeps the learning rates of earlier steps, so after a drop of the rate the old, larger steps die out slowly.

    Args:
        momentum: Share of the last step that the next one keeps.
    """

    momentum: Fraction = 0.0

    def create_state(self, weight: Any) -> tuple[Any, ...]:
        """Return the last step, if there is momentum."""
        return super().create_state(weight) if self.momentum else ()

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`v = momentum v - rate g`, `w = w + v`."""
        nd = mxnet().nd
        if state:
            nd.sgd_mom_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)
        elif weight.context.device_type == "cpu" and weight.dtype in _PRODUCT_TYPES:
            # the gradient times 1, added to the weight: a quarter of the time of `sgd_update` on one thread
            row = _row(weight)
            nd.linalg_gemm(self._one(weight), _row(gradient), row, out=row, alpha=-rate)
        else:
            nd.sgd_update(weight, gradient, out=weight, lr=rate)

    def _one(self, weight: Any) -> Any:
        kind = (weight.context, weight.dtype)
        if kind not in self._ones:
            self._ones[kind] = mxnet().nd.ones((1, 1), ctx=weight.context, dtype=weight.dtype)
        return self._ones[kind]

    @cached_property
    def _ones(self) -> dict[Any, Any]:
        return {}


class NAG(Optimizer):
    """Nesterov's accelerated gradient: `v = momentum v - learning_rate g`, `w = w + momentum v - learning_rate g`.

    Sutskever et al. (ICML 2013), in the form of Bengio et al. (arXiv:1212.0901), equation 7. MXNet's own optimizer
    takes the decay of the momentum from the new weight.

    Args:
        momentum: Share of the last step that the next one keeps.
    """

    momentum: Fraction = 0.9

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`v = momentum v - rate g`, `w = w + momentum v - rate g`."""
        mxnet().nd.nag_mom_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)


class Signum(Optimizer):
    """Sign of the averaged gradient: `m = momentum m + (1 - momentum) g`, `w = w - learning_rate sign(m)`.

    Bernstein et al. (ICML 2018, arXiv:1802.04434); signSGD with momentum 0. Weight decay is separate from the gradient,
    whose size is lost: `w = (1 - learning_rate weight_decay) w` before the step.

    Args:
        learning_rate: Step size, the same for every element.
        momentum: Share of the average that the next step keeps.
        weight_decay: Share of a weight that a step with learning rate 1 would remove.
    """

    momentum: Fraction = 0.9
    decoupled: ClassVar[bool] = True

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`m = momentum m + (1 - momentum) g`, `w = w - rate sign(m)`."""
        mxnet().nd.signum_update(weight, gradient, state[0], out=weight, lr=rate, momentum=self.momentum)


class LARS(Optimizer):
    """Layer-wise adaptive rates: gradient descent with a learning rate for each layer.

    `r = learning_rate trust |w| / (|g| + weight_decay |w| + epsilon)`, `v = momentum v - r (g + weight_decay w)`,
    `w = w + v`, where g is without weight decay and norms are over a whole parameter; `r = learning_rate` where |w| or
    |g| is 0, and for gamma, beta and bias. You et al. (arXiv:1708.03888), algorithm 1.

    Args:
        momentum: Share of the last step that the next one keeps.
        trust: How far a layer may move in a step, relative to its norm.
        epsilon: Added to the denominator.
    """

    momentum: Fraction = 0.9
    trust: PositiveFloat = 0.001
    epsilon: NonNegativeFloat = 0.0
    elementwise: ClassVar[bool] = False

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's LARS."""
        return mxnet().optimizer.LARS(
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            eta=self.trust,
            eps=self.epsilon,
            wd=self.weight_decay,
            # MXNet's correction uses the last rate it saw, which in a step is that of the last four parameters
            momentum_correction=False,
        )


def _row(array: Any) -> Any:
    """Return the same elements as a table of one row."""
    return array if len(array.shape) == 2 and array.shape[0] == 1 else array.reshape((1, -1))  # noqa: PLR2004
