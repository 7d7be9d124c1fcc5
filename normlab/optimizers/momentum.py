"""Optimizers that take one step length for all elements of a layer: gradient descent and its relatives."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet
from normlab.optimizers.base import Fraction, Optimizer, spared


def sgd(
    *,
    learning_rate: PositiveFloat,
    momentum: Fraction = 0.0,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Stochastic gradient descent: `v = momentum v - learning_rate g`, `w = w + v`.

    v keeps the learning rates of earlier steps, so after a drop of the rate the old, larger steps die out slowly.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that the next one keeps.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.rules import SGD  # noqa: PLC0415 - loads MXNet, which checking a spec does without

    rule = SGD(momentum, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def nag(
    *,
    learning_rate: PositiveFloat,
    momentum: Fraction = 0.9,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Nesterov's accelerated gradient: `v = momentum v - learning_rate g`, `w = w + momentum v - learning_rate g`.

    Sutskever et al. (ICML 2013), in the form of Bengio et al. (arXiv:1212.0901), equation 7.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that the next one keeps.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.rules import NAG  # noqa: PLC0415 - loads MXNet, which checking a spec does without

    rule = NAG(momentum, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def signum(
    *,
    learning_rate: PositiveFloat,
    momentum: Fraction = 0.9,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Sign of the averaged gradient: `m = momentum m + (1 - momentum) g`, `w = w - learning_rate sign(m)`.

    Bernstein et al. (ICML 2018, arXiv:1802.04434); signSGD with momentum 0. Weight decay is apart from the gradient,
    whose size is lost: `w = (1 - learning_rate weight_decay) w` before the step.

    Args:
        learning_rate: Step size, the same for every element.
        momentum: Share of the average that the next step keeps.
        weight_decay: Share of a weight that a step with learning rate 1 would take away.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.rules import Signum  # noqa: PLC0415 - loads MXNet, which checking does without

    rule = Signum(momentum, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def lars(
    *,
    learning_rate: PositiveFloat,
    momentum: Fraction = 0.9,
    trust: PositiveFloat = 0.001,
    epsilon: NonNegativeFloat = 0.0,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Layer-wise adaptive rates: gradient descent with a rate that is a layer's own.

    `r = learning_rate trust |w| / (|g| + weight_decay |w| + epsilon)`, `v = momentum v - r (g + weight_decay w)`,
    `w = w + v`, where g is without weight decay and norms are over a whole parameter; `r = learning_rate` where |w| or
    |g| is 0, and for gamma, beta and bias. You et al. (arXiv:1708.03888), algorithm 1.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that the next one keeps.
        trust: How far a layer may move in a step, relative to its norm.
        epsilon: Added to the denominator.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    rule = mxnet().optimizer.LARS(
        learning_rate=learning_rate,
        momentum=momentum,
        eta=trust,
        eps=epsilon,
        wd=weight_decay,
        # MXNet's correction looks back at the last rate it saw, which in a step is that of the last four parameters
        momentum_correction=False,
    )
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias), elementwise=False)
