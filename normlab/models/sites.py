"""The sites of a network: where norms, activations and sums of branches and shortcuts are built."""

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

HybridBlock: Any = mxnet().gluon.HybridBlock


class Sum(HybridBlock):
    """branch + shortcut, where no method replaces it."""

    def hybrid_forward(self, F: Any, branch: Any, shortcut: Any) -> Any:  # noqa: ARG002 - Gluon's signature
        """Add the shortcut to the branch."""
        return branch + shortcut


class Sites:
    """Builds the blocks at the sites of a network, and keeps track of them.

    Args:
        norms: The norms to combine.

    Attributes:
        label: The names of the norms, for messages.
        layers: The norms among them that put a layer at each site.
        residuals: The norms among them that replace the sum of a branch and its shortcut.
        joins: Number of places in the network where a branch and its shortcut are joined.
        optional_biases: Biases that exist only because no norm at their site has a shift.
        notes: Notes for the user about the network, a sentence each.
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
        """Build a block with the norms of a site and its activation.

        Args:
            channels: Number of channels.
            layout: `NC`, `NCHW` or `NTC`.
            activation: The activation of the site; omitted if a norm replaces it.
            activation_first: Whether to normalize the output of the activation instead of its input.
            gamma_initializer: Initializer of gamma.
            scale: Whether gamma is trainable, if the norm's own parameters allow it.
            center: Whether beta is trainable, if the norm's own parameters allow it.
            layer_before: The `Dense` or `Conv2D` layer whose output is the input of the site, for norms that use its
                weight; None if there is no such layer.

        Returns:
            A block from `(N, C, ...)` to the same shape.

        Raises:
            SpecError: A norm needs the layer before the site, which it can't use here.
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
        # only the first norm comes right after the layer
        layers = [layer_before] if layer_before is not None and not activation_first else []
        blocks = []
        for index, method in enumerate(methods):
            before = self._layer_for(method, layers[index:], self.layers[index].name)
            blocks.append((f"norm{index}" if index else "norm", NormBlock(method, before)))
        if activation != "identity" and not any(m.replaces_activation or m.needs_activation for m in methods):
            blocks.insert(0 if activation_first else len(blocks), ("activation", make_activation(activation)))
        return sequence(blocks)

    def brings_shift(self, channels: int, layout: str) -> bool:
        """Return whether a norm at such a site learns a shift, which makes a bias before it redundant."""
        return any(method.brings_shift for method in self._methods(channels, layout))

    @property
    def takes_activation(self) -> bool:
        """Whether a norm replaces the activation of each site, or applies it itself."""
        replaces = (getattr(part.entry.layer, "replaces_activation", False) for part in self.layers)
        return self.needs_activation or any(replaces)

    @property
    def needs_activation(self) -> bool:
        """Whether a norm applies the activation of each site itself."""
        return any(getattr(part.entry.layer, "needs_activation", False) for part in self.layers)

    def layer_before(self, make: Callable[..., Any], channels: int, layout: str) -> Any:
        """Build the layer right before a site, with a bias if no norm there has a shift.

        Args:
            make: Builds the layer; accepts `use_bias`.
            channels: Number of outputs.
            layout: The layout of the site.
        """
        use_bias = not self.brings_shift(channels, layout)
        layer = make(use_bias=use_bias)
        if use_bias:
            self.optional_biases.append(layer.bias)
        return layer

    def residual(self, channels: int, index: int, blocks: int) -> Any:
        """Build the block that joins a branch and its shortcut, `(N, C, H, W)` each.

        Args:
            channels: Number of channels of both.
            index: Number of the residual block in the network, from 0.
            blocks: Number of residual blocks in the network.

        Returns:
            The block of the method that replaces the sum, or of the sum.

        Raises:
            SpecError: More than one of the norms replaces the sum.
        """
        self.joins += 1
        if len(self.residuals) > 1:
            names = " and ".join(part.name for part in self.residuals)
            raise SpecError(f"norms {names} both replace the sum of a branch and its shortcut; choose one of them")
        for part in self.residuals:
            method = part.entry.residual
            own = accepted(method, part.parameters)
            return ResidualBlock(method(**own, in_channels=channels, index=index, blocks=blocks))
        return Sum()

    def _methods(
        self, channels: int, layout: str, *, scale: bool = True, center: bool = True, **site: Any
    ) -> list[NormLayer]:
        # a network can only switch off what a norm's own parameters switch on
        without = {name: False for name, used in (("scale", scale), ("center", center)) if not used}
        methods = []
        for part in self.layers:
            method = part.entry.layer
            own = {**accepted(method, part.parameters), **without}
            methods.append(method(**own, in_channels=channels, layout=layout, **site))
        return methods

    def _layer_for(self, method: NormLayer, layers: list[Any], name: str) -> Any:
        """Return the layer before the site if the method needs it, or None."""
        if not method.needs_layer_before:
            return None
        if self._weighted:
            raise SpecError(
                f"norm {name} uses the weight of the layer before each site, and norm {self._weighted[0]} replaces "
                "that weight; choose one of them"
            )
        if not layers:
            raise SpecError(
                f"norm {name} uses the weight of the layer before each site, and the input of one site is not the "
                "output of a dense layer or a convolution; choose model lenet, vgg, resnet or mlp with this norm first "
                "in a list of norms and before the activation, or choose another norm"
            )
        return layers[0]

    def _check_gamma(self, methods: list[NormLayer], gamma_initializer: Any) -> None:
        if gamma_initializer == "ones" or any("gamma" in method.declared for method in methods):
            return
        note = f"norm {self.label} has no gamma, so the network's own initial value of gamma is ignored"
        if note not in self.notes:
            self.notes.append(note)
