"""The places of a network where norms and activations go, offered to whoever builds the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.catalog.signature import accepted
from normlab.compat import mxnet
from normlab.errors import SpecError
from normlab.names import suggestion
from normlab.norm_block import NormBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.norm import Norm

mx = mxnet()
nn = mx.gluon.nn

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


class ChosenNorm(NamedTuple):
    """A norm with its parameters, as a spec chooses it.

    Attributes:
        norm: The method.
        parameters: Its parameters, defaults filled in.
    """

    norm: Norm
    parameters: dict[str, Any]


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


class Sites:
    """Makes what stands at each site of a network under construction.

    Args:
        norms: The norms that act together.

    Attributes:
        layers: The norms among them that put a layer at each site.
    """

    def __init__(self, norms: Sequence[ChosenNorm]) -> None:
        self.layers = [chosen for chosen in norms if chosen.norm.layer is not None]

    def norm(
        self,
        channels: int,
        layout: str,
        *,
        activation: str = "identity",
        gamma_initializer: Any = "ones",
        activation_first: bool = False,
    ) -> Any:
        """A block with the norms of a site and its activation.

        Args:
            channels: Number of channels.
            layout: `NC`, `NCHW` or `NTC`.
            activation: The activation of the site; left out where a norm replaces it.
            gamma_initializer: How gamma starts.
            activation_first: Normalize what the activation gives, instead of what it takes.

        Returns:
            A block from `(N, C, ...)` to the same shape.
        """
        methods = [
            chosen.norm.layer(  # type: ignore[misc] # only norms with a layer are in the list
                **accepted(chosen.norm.layer, chosen.parameters),
                in_channels=channels,
                layout=layout,
                gamma_initializer=gamma_initializer,
                activation=activation,
            )
            for chosen in self.layers
        ]
        children = [(f"norm{index}" if index else "norm", NormBlock(method)) for index, method in enumerate(methods)]
        if not any(method.replaces_activation or method.needs_activation for method in methods):
            children.insert(0 if activation_first else len(children), ("activation", make_activation(activation)))
        block = nn.HybridSequential()
        for name, child in children:
            block.register_child(child, name)
        return block

    def bias_before(self, channels: int, layout: str) -> bool:
        """Whether the layer before a site needs a bias, because no norm there brings a shift."""
        block = self.norm(channels, layout)
        return not any(
            isinstance(child, NormBlock) and child.method.brings_shift
            for child in block._children.values()  # noqa: SLF001 - Gluon has no public name for children
        )
