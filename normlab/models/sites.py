"""The places of a network where norms, activations and sums go, offered to whoever builds the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import accepted
from normlab.errors import SpecError
from normlab.models.tree import sequence
from normlab.norms.blocks import NormBlock, ResidualBlock
from normlab.norms.ways import NormLayer
from normlab.ops.activations import make_activation
from normlab.spec import Part

mx = mxnet()


HybridBlock: Any = mx.gluon.HybridBlock


class Sum(HybridBlock):
    """Where a branch meets its shortcut and no method acts: branch + shortcut."""

    def hybrid_forward(self, F: Any, branch: Any, shortcut: Any) -> Any:  # noqa: ARG002 - Gluon's signature
        """Add."""
        return branch + shortcut


class Sites:
    """Makes what stands at each site of a network under construction, and keeps account of it.

    Args:
        norms: The norms that act together.

    Attributes:
        label: The norms in a word, for messages.
        layers: The norms among them that put a layer at each site.
        residuals: The norms among them that act where a branch meets its shortcut.
        joins: How many places the network has where a branch meets its shortcut.
        optional_biases: Biases that exist only because no norm at their site brings a shift.
        notes: What the person should know about the network, a sentence each.
    """

    def __init__(self, norms: Sequence[Part]) -> None:
        self.label = "+".join(part.name for part in norms)
        self.layers = [part for part in norms if part.entry.layer is not None]
        self.residuals = [part for part in norms if part.entry.residual is not None]
        self._weighted = [part.name for part in norms if part.entry.weight is not None]
        self.joins = 0
        self.optional_biases: list[Any] = []
        self.notes: list[str] = []

    def norm(
        self,
        channels: int,
        layout: str,
        *,
        activation: str = "identity",
        activation_first: bool = False,
        gamma_initializer: Any = "ones",
        scale: bool = True,
        center: bool = True,
        layer_before: Any = None,
    ) -> Any:
        """A block with the norms of a site and its activation.

        Args:
            channels: Number of channels.
            layout: `NC`, `NCHW` or `NTC`.
            activation: The activation of the site; left out where a norm replaces it.
            activation_first: Normalize what the activation gives, instead of what it takes.
            gamma_initializer: How gamma starts.
            scale: Whether gamma is learned, where the norm's own parameters let it be.
            center: Whether beta is learned, likewise.
            layer_before: The `Dense` or `Conv2D` layer whose outputs the site gets as they are, for norms that look at
                its weight; None where there is no such layer.

        Returns:
            A block from `(N, C, ...)` to the same shape.

        Raises:
            SpecError: A norm looks at the layer before, and can't here.
        """
        methods = self._methods(
            channels,
            layout,
            activation=activation,
            gamma_initializer=gamma_initializer,
            scale=scale,
            center=center,
        )
        self._check_gamma(methods, gamma_initializer)
        # a norm comes between the layer and the norms after it
        layers = [layer_before] if layer_before is not None and not activation_first else []
        blocks = []
        for index, method in enumerate(methods):
            before = self._looked_at(method, layers[index:], self.layers[index].name)
            blocks.append((f"norm{index}" if index else "norm", NormBlock(method, before)))
        if activation != "identity" and not any(m.replaces_activation or m.needs_activation for m in methods):
            blocks.insert(0 if activation_first else len(blocks), ("activation", make_activation(activation)))
        return sequence(blocks)

    def brings_shift(self, channels: int, layout: str) -> bool:
        """Whether a norm at such a site learns a shift, which makes a bias before it superfluous."""
        return any(method.brings_shift for method in self._methods(channels, layout))

    @property
    def takes_activation(self) -> bool:
        """Whether a norm at each site stands for the activation as well, or applies it itself."""
        replaced = (getattr(part.entry.layer, "replaces_activation", False) for part in self.layers)
        return self.needs_activation or any(replaced)

    @property
    def needs_activation(self) -> bool:
        """Whether a norm at each site applies the activation itself."""
        return any(getattr(part.entry.layer, "needs_activation", False) for part in self.layers)

    def layer_before(self, make: Callable[..., Any], channels: int, layout: str) -> Any:
        """The layer right before a site: with a bias if no norm there brings a shift, so that nothing is lost.

        Args:
            make: Makes the layer; takes `use_bias`.
            channels: Its number of outputs.
            layout: The layout of the site.
        """
        use_bias = not self.brings_shift(channels, layout)
        layer = make(use_bias=use_bias)
        if use_bias:
            self.optional_biases.append(layer.bias)
        return layer

    def residual(self, channels: int, index: int, blocks: int) -> Any:
        """A block that joins a branch and its shortcut, `(N, C, H, W)` each.

        Args:
            channels: Number of channels of both.
            index: Number of the residual block in the network, from 0.
            blocks: Number of residual blocks in the network.

        Returns:
            What the chosen method makes of the two, or their sum.

        Raises:
            SpecError: Several of the norms would act here.
        """
        self.joins += 1
        if len(self.residuals) > 1:
            names = " and ".join(part.name for part in self.residuals)
            raise SpecError(f"norms {names} both act where a branch meets its shortcut; choose one of them")
        for part in self.residuals:
            method = part.entry.residual
            own = accepted(method, part.parameters)
            return ResidualBlock(method(**own, in_channels=channels, index=index, blocks=blocks))
        return Sum()

    def _methods(
        self, channels: int, layout: str, *, scale: bool = True, center: bool = True, **site: Any
    ) -> list[NormLayer]:
        # only what differs from a norm's own choice is said to it
        without = {name: False for name, wanted in (("scale", scale), ("center", center)) if not wanted}
        made = []
        for part in self.layers:
            method = part.entry.layer
            own = {**accepted(method, part.parameters), **without}
            made.append(method(**own, in_channels=channels, layout=layout, **site))
        return made

    def _looked_at(self, method: NormLayer, layers: list[Any], name: str) -> Any:
        """The layer that a method looks at, None if it looks at none."""
        if not method.needs_layer_before:
            return None
        if self._weighted:
            raise SpecError(
                f"norm {name} looks at the weight of the layer before each site, and norm {self._weighted[0]} puts "
                "another in its place; choose one of them"
            )
        if not layers:
            raise SpecError(
                f"norm {name} looks at the weight of the layer before each site, and here is a site that does not get "
                "what a dense layer or a convolution gives; choose model lenet, vgg, resnet or mlp, the norm first of "
                "several and before the activation, or another norm"
            )
        return layers[0]

    def _check_gamma(self, methods: list[NormLayer], gamma_initializer: Any) -> None:
        if gamma_initializer == "ones" or any("gamma" in method.declared for method in methods):
            return
        note = f"norm {self.label} has no gamma, so what the network wants of its start is left out"
        if note not in self.notes:
            self.notes.append(note)
