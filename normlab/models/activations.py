"""Activations by the names that specs use."""

from __future__ import annotations

from typing import Any

from normlab.compat import mxnet
from normlab.errors import SpecError
from normlab.names import suggestion

nn = mxnet().gluon.nn

#: Activations by name. Gluon's `Activation` is the fast kernel: `nd.tanh` takes fifty times as long on a CPU.
ACTIVATIONS = {
    "identity": lambda: nn.HybridLambda("identity"),
    "relu": lambda: nn.Activation("relu"),
    "sigmoid": lambda: nn.Activation("sigmoid"),
    "tanh": lambda: nn.Activation("tanh"),
    "softplus": lambda: nn.Activation("softrelu"),
    "softsign": lambda: nn.Activation("softsign"),
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.Swish,
}


def make_activation(name: str) -> Any:
    """A block that applies an activation.

    Args:
        name: One of `ACTIVATIONS`.

    Raises:
        SpecError: There is no activation of this name.
    """
    if name not in ACTIVATIONS:
        raise SpecError(
            f"unknown activation {name!r}{suggestion(name, ACTIVATIONS)}; expected one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]()
