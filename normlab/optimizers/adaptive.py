"""Optimizers with a step size for each element, from its past gradients, without Adam's bias correction."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet
from normlab.optimizers.base import Fraction, Optimizer, move_average


class RMSProp(Optimizer):
    """Gradients over their root mean square: `w = w - learning_rate g / sqrt(n + epsilon)`.

    `n = smoothing n + (1 - smoothing) g^2`. Tieleman and Hinton (Coursera 2012, lecture 6.5). Epsilon is inside the
    root, unlike in PyTorch.

    Args:
        smoothing: Share of the mean square that the next step keeps.
        epsilon: Added inside the root.
    """

    learning_rate: PositiveFloat = 0.001
    smoothing: Fraction = 0.9
    epsilon: PositiveFloat = 1e-8

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's RMSProp, not centered."""
        return mxnet().optimizer.RMSProp(
            learning_rate=self.learning_rate,
            gamma1=self.smoothing,
            epsilon=self.epsilon,
            centered=False,
            wd=self.weight_decay,
        )


class RMSPropCentered(Optimizer):
    """Gradients over their standard deviation, with momentum.

    `n = smoothing n + (1 - smoothing) g^2`, `m = smoothing m + (1 - smoothing) g`,
    `v = momentum v - learning_rate g / sqrt(n - m^2 + epsilon)`, `w = w + v`. Graves (arXiv:1308.0850), equations 38
    to 45.

    Args:
        smoothing: Share of the averages that the next step keeps.
        momentum: Share of the last step that the next one keeps.
        epsilon: Added inside the root.
    """

    learning_rate: PositiveFloat = 0.001
    smoothing: Fraction = 0.9
    momentum: Fraction = 0.9
    epsilon: PositiveFloat = 1e-8

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's RMSProp, centered."""
        return mxnet().optimizer.RMSProp(
            learning_rate=self.learning_rate,
            gamma1=self.smoothing,
            gamma2=self.momentum,
            epsilon=self.epsilon,
            centered=True,
            wd=self.weight_decay,
        )


class AdaGrad(Optimizer):
    """Gradients over the root of their summed squares: `n = n + g^2`, `w = w - learning_rate g / sqrt(n + epsilon)`.

    Duchi et al. (JMLR 2011). Weight decay is part of g, unlike in MXNet.

    Args:
        epsilon: Added inside the root.
    """

    learning_rate: PositiveFloat = 0.01
    epsilon: PositiveFloat = 1e-7

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`n = n + g^2`, `w = w - rate g / sqrt(n + epsilon)`."""
        nd = mxnet().nd
        (squares,) = state
        squares += nd.square(gradient)
        weight -= rate * gradient / nd.sqrt(squares + self.epsilon)


class AdaDelta(Optimizer):
    """Gradients in units of past steps: `d = sqrt(s + epsilon) / sqrt(n + epsilon) g`, `w = w - learning_rate d`.

    `n = smoothing n + (1 - smoothing) g^2` before, `s = smoothing s + (1 - smoothing) d^2` after. Zeiler
    (arXiv:1212.5701), algorithm 1, which has no learning rate: 1 is the paper's. MXNet has none either.

    Args:
        smoothing: Share of the mean squares that the next step keeps.
        epsilon: Added inside both roots.
    """

    learning_rate: PositiveFloat = 1.0
    smoothing: Fraction = 0.9
    epsilon: PositiveFloat = 1e-5
    states: ClassVar[int] = 2

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:  # noqa: ARG002
        """`d = sqrt(s + epsilon) / sqrt(n + epsilon) g`, `w = w - rate d`."""
        nd = mxnet().nd
        gradients, steps = state
        move_average(gradients, nd.square(gradient), self.smoothing)
        delta = nd.sqrt(steps + self.epsilon) / nd.sqrt(gradients + self.epsilon) * gradient
        move_average(steps, nd.square(delta), self.smoothing)
        weight -= rate * delta


class FTRL(Optimizer):
    """Follow the regularized leader, proximal: weights are exactly 0 unless the gradients ask for more.

    `z = z + g - (sqrt(n + g^2) - sqrt(n)) w / learning_rate`, `n = n + g^2`, then
    `w = (sign(z) l1 - z) / ((beta + sqrt(n)) / learning_rate + weight_decay)` where `|z| > l1`, else 0. McMahan et al.
    (KDD 2013), algorithm 1. Weight decay is the paper's lambda 2, not part of g. The method forgets where the weights
    started: one without gradient is 0 after the first step.

    Args:
        learning_rate: Step size, the paper's alpha.
        l1: Threshold below which a weight is 0.
        beta: Added to the root of the summed squares.
        weight_decay: Factor of the squared norm of the weights, times 1/2.
    """

    learning_rate: PositiveFloat = 0.1
    l1: NonNegativeFloat = 0.01
    beta: PositiveFloat = 1.0

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's FTRL."""
        return mxnet().optimizer.Ftrl(
            learning_rate=self.learning_rate, lamda1=self.l1, beta=self.beta, wd=self.weight_decay
        )


class FTML(Optimizer):
    """Follow the moving leader: Zheng and Kwok (ICML 2017), algorithm 1.

    `v = beta2 v + (1 - beta2) g^2`, `d' = (1 - beta1^t) / learning_rate (sqrt(v / (1 - beta2^t)) + epsilon)`,
    `z = beta1 z + (1 - beta1) g - (d' - beta1 d) w`, `d = d'`, `w = -z / d`.

    Args:
        beta1: Share of z that the next step keeps.
        beta2: Share of the mean square that the next step keeps.
        epsilon: Added to the root.
    """

    learning_rate: PositiveFloat = 0.0025
    beta1: Fraction = 0.6
    beta2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-8

    def mxnet_optimizer(self) -> Any:
        """Return MXNet's FTML."""
        return mxnet().optimizer.FTML(
            learning_rate=self.learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            wd=self.weight_decay,
        )
