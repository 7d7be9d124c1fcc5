"""The six ways in which a normalization method acts, each a class to subclass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Optional

from normlab.backend.initializers import Initializer
from normlab.errors import PluginBroken, SpecError
from normlab.norms.parameters import Parameterized

#: The layouts in which sites occur, with the channel axis of each.
LAYOUTS = {"NC": 1, "NCHW": 1, "NTC": 2}

WAYS = ("layer", "weight", "residual", "initialize", "gradient", "project")


class NormLayer(Parameterized):
    """A method that acts at every site, in place of a `BatchNorm`.

    A subclass declares its parameters and states in its constructor and computes in `hybrid_forward`. What it sees is
    always `(N, C)` or `(N, C, positions ...)`: other channel axes are moved there and back for it.

    Args:
        in_channels: Number of channels C; 0 if it is known only at the first call.
        layout: Where the site is: `NC`, `NCHW` or `NTC`.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
        gamma_initializer: How gamma starts; some networks ask for zeros in the last norm of a residual branch.
        beta_initializer: How beta starts.
        activation: The activation that follows the site, or None.

    Raises:
        SpecError: The method has no definition for this layout.
    """

    #: The layouts for which the method is defined.
    layouts: ClassVar[tuple[str, ...]] = ("NC", "NCHW", "NTC")
    #: Whether the method stands for the activation as well: the network then puts none after it.
    replaces_activation: ClassVar[bool] = False
    #: Whether the method applies the activation itself, `self.activation`, inside its formula.
    needs_activation: ClassVar[bool] = False
    #: Whether the method looks at the layer right before the site. Then `hybrid_forward` gets, after x, what that layer
    #: takes in this pass, and its weight; `self.before` knows its geometry (`normlab.norms.layer_before.LayerBefore`).
    needs_layer_before: ClassVar[bool] = False

    def __init__(
        self,
        *,
        in_channels: int = 0,
        layout: str = "NCHW",
        scale: bool = True,
        center: bool = True,
        gamma_initializer: Initializer = "ones",
        beta_initializer: Initializer = "zeros",
        activation: Optional[str] = None,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise SpecError(f"{type(self).__name__}: unknown layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
        if layout not in self.layouts:
            raise SpecError(
                f"{type(self).__name__} is not defined for layout {layout}; it is defined for "
                f"{', '.join(self.layouts)}; choose another method or another network"
            )
        self.in_channels = in_channels
        self.layout = layout
        self.axis = LAYOUTS[layout]
        self.scale = scale
        self.center = center
        self.gamma_initializer = gamma_initializer
        self.beta_initializer = beta_initializer
        self.activation = activation
        self.before: Any = None

    def affine(self, *, scale: bool = True, center: bool = True) -> None:
        """Declare gamma and beta, each `(C,)`, learned if the site lets them be.

        Args:
            scale: Declare gamma.
            center: Declare beta.
        """
        if scale:
            self.parameter("gamma", self.gamma_initializer, trainable=self.scale)
        if center:
            self.parameter("beta", self.beta_initializer, trainable=self.center)

    def prepare(self) -> None:
        """Called once when `in_channels` is known, before anything is computed: the place to refuse a number."""

    def hybrid_forward(self, F: Any, *inputs: Any, **parameters: Any) -> Any:
        """Compute the method.

        Args:
            F: `mx.nd` or `mx.sym`.
            *inputs: Activations x, `(N, C)` or `(N, C, positions ...)`; with `needs_layer_before`, the input of the
                layer before the site and its weight follow.
            **parameters: What was declared, by name.

        Returns:
            Activations of the same shape.
        """
        raise PluginBroken(f"{type(self).__name__} has no hybrid_forward(self, F, x, ...)")

    @property
    def brings_shift(self) -> bool:
        """Whether a learned beta makes a bias before the site superfluous."""
        return any(name.startswith("beta") and declared.trainable for name, declared in self.declared.items())


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

    def hybrid_forward(self, F: Any, *inputs: Any, **parameters: Any) -> Any:
        """Compute the weight that the layer uses.

        Args:
            F: `mx.nd` or `mx.sym`.
            *inputs: The layer's own weight, `(out, in)` or `(out, in / groups, kernel ...)`.
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

    def hybrid_forward(self, F: Any, *inputs: Any, **parameters: Any) -> Any:
        """Compute what the block gives, by default their sum.

        Args:
            F: `mx.nd` or `mx.sym`.
            *inputs: The branch and its shortcut, `(N, C, H, W)` each.
            **parameters: What was declared, by name.
        """
        branch, shortcut = inputs
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
