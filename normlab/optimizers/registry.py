"""Optimizers by name, with typed parameters.

All of MXNet's that are sound, some put right (see `normlab.optimizers.rules`), but for those that wait for the
device in every step (LBSGD), draw random numbers of their own (SGLD), or serve workers that don't wait for each other
(DCASGD) or sparse rows (GroupAdaGrad). A formula says w for a weight, g for its gradient, t for the step counted
from 1. Weight decay is added to the gradient, `g = g + weight_decay w`, unless an optimizer says otherwise. The
learning rate in a formula is that of the step, times the factor that a norm may have declared for its parameter.
"""

from __future__ import annotations

from typing import Callable

from normlab.optimizers.adam import adam, adamax, adamw, lamb, nadam
from normlab.optimizers.adaptive import adadelta, adagrad, ftml, ftrl, rmsprop, rmsprop_centered
from normlab.optimizers.base import Optimizer
from normlab.optimizers.momentum import lars, nag, sgd, signum

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    function.__name__: function
    for function in (
        sgd,
        nag,
        adam,
        adamw,
        adamax,
        nadam,
        rmsprop,
        rmsprop_centered,
        adagrad,
        adadelta,
        ftrl,
        ftml,
        signum,
        lars,
        lamb,
    )
}
