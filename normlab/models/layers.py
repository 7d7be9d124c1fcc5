"""Layers that several networks have in common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.models.activations import make_activation

if TYPE_CHECKING:
    from normlab.models.sites import Sites

nn = mxnet().gluon.nn


def convolution(
    sites: Sites,
    in_channels: int,
    channels: int,
    initializer: Any,
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 1,
) -> Any:
    """A convolution right before a site, `(N, in_channels, H, W)` to `(N, channels, H', W')`.

    Args:
        sites: Says whether a norm at the site brings a shift; else the convolution has a bias, from zeros.
        in_channels: Channels that it takes.
        channels: Channels that it gives.
        initializer: How its weight starts.
        kernel: Rows and columns of the kernel.
        stride: Step between positions.
        padding: Zeros around the image.
    """
    make = partial(
        nn.Conv2D,
        channels,
        kernel,
        strides=stride,
        padding=padding,
        in_channels=in_channels,
        weight_initializer=initializer,
    )
    return sites.layer_before(make, channels, "NCHW")


def hidden_layer(
    sites: Sites,
    name: str,
    index: int,
    make: Callable[..., Any],
    channels: int,
    layout: str,
    *,
    activation: str,
    has_norm: bool,
    norm_first: bool = True,
) -> list[tuple[str, Any]]:
    """A layer with its activation, and perhaps a norm before or after that.

    Args:
        sites: Makes norms and activations.
        name: What kind of layer it is, such as `dense`.
        index: Its number in the network, from 0.
        make: Makes the layer; takes `use_bias`.
        channels: Its number of outputs.
        layout: The layout of what it gives.
        activation: Its activation.
        has_norm: Whether it has a norm.
        norm_first: Whether the norm stands before the activation.

    Returns:
        The layer and what follows, each with its structural name.
    """
    if not has_norm:
        return [(f"{name}{index}", make()), (f"activation{index}", make_activation(activation))]
    layer = sites.layer_before(make, channels, layout) if norm_first else make()
    site = sites.norm(channels, layout, activation=activation, activation_first=not norm_first, layer_before=layer)
    return [(f"{name}{index}", layer), (f"site{index}", site)]
