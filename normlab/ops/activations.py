"""Activations, by their names in specs."""

from __future__ import annotations

from typing import Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError, suggestion


def _relu6(F: Any, x: Any) -> Any:
    return F.clip(x, 0, 6)


def _hard_sigmoid(F: Any, x: Any) -> Any:
    return _relu6(F, x + 3) / 6


def _hard_swish(F: Any, x: Any) -> Any:
    return x * _hard_sigmoid(F, x)


#: Activations by name. Gluon's `Activation` is the fast kernel: `nd.tanh` takes fifty times as long on a CPU. The last
#: three are those of MobileNet v2 (Sandler et al., CVPR 2018, arXiv:1801.04381) and v3 (Howard et al., ICCV 2019,
#: arXiv:1905.02244, section 5.2).
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda nn: nn.HybridLambda("identity"),
    "relu": lambda nn: nn.Activation("relu"),
    "sigmoid": lambda nn: nn.Activation("sigmoid"),
    "tanh": lambda nn: nn.Activation("tanh"),
    "softplus": lambda nn: nn.Activation("softrelu"),
    "softsign": lambda nn: nn.Activation("softsign"),
    "leaky_relu": lambda nn: nn.LeakyReLU(0.01),
    "elu": lambda nn: nn.ELU(),
    "selu": lambda nn: nn.SELU(),
    "gelu": lambda nn: nn.GELU(),
    "silu": lambda nn: nn.Swish(),
    "relu6": lambda nn: nn.HybridLambda(_relu6),
    "hard_sigmoid": lambda nn: nn.HybridLambda(_hard_sigmoid),
    "hard_swish": lambda nn: nn.HybridLambda(_hard_swish),
}


def make_activation(name: str) -> Any:
    """Return a block that applies an activation.

    Args:
        name: One of `ACTIVATIONS`.

    Raises:
        SpecError: There is no activation of this name.
    """
    if name not in ACTIVATIONS:
        raise SpecError(
            f"unknown activation {name!r}{suggestion(name, ACTIVATIONS)}; expected one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name](mxnet().gluon.nn)
