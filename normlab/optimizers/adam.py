"""Adam and its relatives: averages of gradients and of their squares, corrected for having started at 0."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet
from normlab.optimizers.base import Fraction, Optimizer, spared


def adam(
    *,
    learning_rate: PositiveFloat = 0.001,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    epsilon: PositiveFloat = 1e-8,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Adam: `w = w - learning_rate m' / (sqrt(v') + epsilon)`.

    `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, `m' = m / (1 - beta1^t)`, `v' = v / (1 - beta2^t)`.
    Kingma and Ba (ICLR 2015, arXiv:1412.6980), algorithm 1. MXNet adds epsilon to sqrt(v) instead, so that it weighs
    up to 30 times more in the first steps. Weight decay is part of g; `adamw` has it apart.

    Args:
        learning_rate: Step size.
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the average of squares that the next step keeps.
        epsilon: Added to the corrected root.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.adam_rules import Adam  # noqa: PLC0415 - loads MXNet, which checking a spec does without

    rule = Adam(beta1, beta2, epsilon, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def adamw(
    *,
    learning_rate: PositiveFloat = 0.001,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    epsilon: PositiveFloat = 1e-8,
    weight_decay: NonNegativeFloat = 0.01,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Adam with weight decay apart from the gradient: `w = (1 - learning_rate weight_decay) w` before Adam's step.

    Loshchilov and Hutter (ICLR 2019, arXiv:1711.05101), algorithm 2; the decay is multiplied by the learning rate, as
    in PyTorch and Optax, while the paper multiplies it by the schedule's factor only.

    Args:
        learning_rate: Step size.
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the average of squares that the next step keeps.
        epsilon: Added to the corrected root.
        weight_decay: Share of a weight that a step with learning rate 1 would take away.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.adam_rules import AdamW  # noqa: PLC0415 - loads MXNet, which checking does without

    rule = AdamW(beta1, beta2, epsilon, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def adamax(
    *,
    learning_rate: PositiveFloat = 0.002,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    epsilon: PositiveFloat = 1e-8,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Adam with the greatest gradient in place of the mean square: `w = w - learning_rate m / ((1 - beta1^t) u)`.

    `m = beta1 m + (1 - beta1) g`, `u = max(beta2 u, |g| + epsilon)`. Kingma and Ba (ICLR 2015, arXiv:1412.6980),
    algorithm 2, which has no epsilon; without it, as in MXNet, a weight that has had no gradient becomes NaN.

    Args:
        learning_rate: Step size.
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the greatest gradient that the next step keeps.
        epsilon: Added to the size of the gradient.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.adam_rules import AdaMax  # noqa: PLC0415 - loads MXNet, which checking does without

    rule = AdaMax(beta1, beta2, epsilon, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def nadam(
    *,
    learning_rate: PositiveFloat = 0.001,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    epsilon: PositiveFloat = 1e-8,
    momentum_decay: NonNegativeFloat = 0.004,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Adam with Nesterov's momentum, which grows from beta1 / 2 to beta1.

    m and v as in Adam, `b_t = beta1 (1 - 0.96^(t momentum_decay) / 2)`, `p_t = b_1 b_2 ... b_t`,
    `m' = b_(t+1) m / (1 - p_(t+1)) + (1 - b_t) g / (1 - p_t)`, `v' = v / (1 - beta2^t)`,
    `w = w - learning_rate m' / (sqrt(v') + epsilon)`. Dozat (ICLR workshop 2016), algorithm 2. MXNet multiplies p once
    for each parameter of the network in a step; here it is once a step.

    Args:
        learning_rate: Step size.
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the average of squares that the next step keeps.
        epsilon: Added to the corrected root.
        momentum_decay: How fast the momentum grows.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    from normlab.optimizers.adam_rules import Nadam  # noqa: PLC0415 - loads MXNet, which checking does without

    rule = Nadam(beta1, beta2, epsilon, momentum_decay, learning_rate=learning_rate, wd=weight_decay)
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias))


def lamb(
    *,
    learning_rate: PositiveFloat = 0.001,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    epsilon: PositiveFloat = 1e-6,
    weight_decay: NonNegativeFloat = 0.0,
    decay_gamma_beta: bool = True,
    decay_bias: bool = True,
) -> Optimizer:
    """Adam with a rate that is a layer's own: `w = w - learning_rate |w| / |u| u`.

    `u = m' / (sqrt(v') + epsilon) + weight_decay w`, with m' and v' as in Adam, norms over a whole parameter, and
    `|w| / |u| = 1` where one of them is 0. You et al. (ICLR 2020, arXiv:1904.00962), algorithm 2. Weight decay is part
    of u, not of g. Scales, shifts and biases have rates of their own too.

    Args:
        learning_rate: Step size.
        beta1: Share of the average of gradients that the next step keeps.
        beta2: Share of the average of squares that the next step keeps.
        epsilon: Added to the corrected root.
        weight_decay: Share of a weight that is added to u.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """
    rule = mxnet().optimizer.LAMB(
        learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon, wd=weight_decay
    )
    return Optimizer(rule, spared(decay_gamma_beta=decay_gamma_beta, decay_bias=decay_bias), elementwise=False)
