"""The ways other than a layer in which a normalization method acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.errors import PluginBroken
from normlab.parameterized import Parameterized

if TYPE_CHECKING:
    from collections.abc import Mapping


class NormWeight(Parameterized):
    """A method that acts on the weight of every `Dense` and `Conv`, inside the forward pass.

    Args:
        out_channels: Number of output units or channels, the weight's first axis.

    Attributes:
        unit_size: Number of weights of each unit, the product of the other axes; known before shapes are asked for.
    """

    unit_size = 0

    def __init__(self, *, out_channels: int = 0) -> None:
        super().__init__()
        self.out_channels = out_channels

    def hybrid_forward(self, F: Any, weight: Any, **parameters: Any) -> Any:
        """Compute the weight that the layer uses.

        Args:
            F: `mx.nd` or `mx.sym`.
            weight: The layer's own weight, `(out, in)` or `(out, in / groups, kernel ...)`.
            **parameters: What was declared, by name.

        Returns:
            A weight of the same shape.
        """
        raise PluginBroken(f"{type(self).__name__} has no hybrid_forward(self, F, weight, ...)")

    def start(self, weight: Any) -> Mapping[str, Any]:
        """The values of declared parameters that start from the weight, by name.

        Args:
            weight: The layer's weight as it was drawn, a NumPy array.

        Returns:
            NumPy arrays; parameters that are not in it start as declared.
        """
        return {}


class NormResidual(Parameterized):
    """A method that acts where the branch of a residual block meets its shortcut.

    Args:
        in_channels: Number of channels of both.
        index: Number of the block in the network, from 0.
        blocks: Number of residual blocks in the network.
    """

    def __init__(self, *, in_channels: int = 0, index: int = 0, blocks: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.index = index
        self.blocks = blocks

    def hybrid_forward(self, F: Any, branch: Any, shortcut: Any, **parameters: Any) -> Any:
        """Compute what the block gives, by default their sum.

        Args:
            F: `mx.nd` or `mx.sym`.
            branch: `(N, C, H, W)`.
            shortcut: `(N, C, H, W)`.
            **parameters: What was declared, by name.
        """
        return branch + shortcut


class NormInitialize:
    """A method that acts once, after the parameters are drawn."""

    def __call__(self, network: Any, images: Any) -> None:
        """Change the parameters of a network.

        Args:
            network: A `normlab.models.network.Network`; `network.parameters` are Gluon parameters by structural name.
            images: The first batch of the run, on the network's first device.
        """
        raise PluginBroken(f"{type(self).__name__} has no __call__(self, network, images)")


class NormGradient:
    """A method that changes gradients before every optimizer step."""

    def prepare(self, network: Any) -> None:
        """Called once before training: the place to look at the network that the parameters are of.

        Args:
            network: A `normlab.models.network.Network`; `network.parameters` are Gluon parameters by structural name.
        """

    def __call__(self, F: Any, name: str, weight: Any, gradient: Any) -> Any:
        """Compute the gradient that the optimizer takes.

        Args:
            F: `mx.nd`.
            name: The parameter's structural name, such as `dense0.weight`.
            weight: Its value.
            gradient: The gradient of the loss that a step minimizes, of the weight's shape.

        Returns:
            An array of the same shape; `gradient` itself to leave it.
        """
        raise PluginBroken(f"{type(self).__name__} has no __call__(self, F, name, weight, gradient)")


class NormProject:
    """A method that changes parameters after every optimizer step."""

    def __call__(self, F: Any, name: str, value: Any) -> Any:
        """Compute what a parameter is set to.

        Args:
            F: `mx.nd`.
            name: The parameter's structural name, such as `site0.norm.rho`.
            value: Its value after the optimizer's step.

        Returns:
            An array of the same shape; `value` itself to leave it.
        """
        raise PluginBroken(f"{type(self).__name__} has no __call__(self, F, name, value)")
