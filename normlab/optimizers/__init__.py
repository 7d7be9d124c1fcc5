"""Optimizers by name, each a class whose fields are its parameters in a spec.

All of MXNet's that are sound, some corrected. Left out are those that wait for the device in every step (LBSGD), draw
random numbers of their own (SGLD), or serve asynchronous workers (DCASGD) or sparse rows (GroupAdaGrad).
"""

from normlab.optimizers.adam import LAMB, Adam, AdaMax, AdamW, Nadam
from normlab.optimizers.adaptive import FTML, FTRL, AdaDelta, AdaGrad, RMSProp, RMSPropCentered
from normlab.optimizers.base import Optimizer
from normlab.optimizers.momentum import LARS, NAG, SGD, Signum

__all__ = ["OPTIMIZERS", "Optimizer"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "nag": NAG,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": AdaMax,
    "nadam": Nadam,
    "rmsprop": RMSProp,
    "rmsprop_centered": RMSPropCentered,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
    "ftrl": FTRL,
    "ftml": FTML,
    "signum": Signum,
    "lars": LARS,
    "lamb": LAMB,
}
