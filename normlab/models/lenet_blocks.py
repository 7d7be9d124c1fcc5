"""The Gluon blocks of LeNet-5."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.images import image_shape
from normlab.models.layers import hidden_layer
from normlab.models.tree import sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from normlab.models.sites import Sites

nn = mxnet().gluon.nn

_MAPS = (6, 16)
_UNITS = (120, 84)
_SITES = len(_MAPS) + len(_UNITS)
_KERNEL = 5
#: Below this nothing is left of the image for the second convolution.
_SMALLEST = 12


def build(
    sites: Sites,
    shape: Sequence[int],
    classes: int,
    *,
    activation: str,
    pooling: str,
    normed: Collection[int],
    initializer: Any,
) -> Any:
    """Stack the layers.

    Args:
        sites: Makes norms and activations.
        shape: Shape of one example.
        classes: Number of outputs.
        activation: Activation of the hidden layers.
        pooling: `average` or `max`.
        normed: The hidden layers with a norm, counted from 0.
        initializer: Of the weights.

    Raises:
        SpecError: The images are too small, or a norm is wanted at a layer that is not there.
    """
    image = image_shape(shape, "lenet", _SMALLEST)
    beyond = sorted(site for site in normed if site >= _SITES)
    if beyond:
        raise SpecError(f"norm_sites: there is no hidden layer {beyond[0]}; expected 0 to {_SITES - 1}, or all")

    def hidden(name: str, index: int, make: Callable[..., Any], channels: int, layout: str) -> list[tuple[str, Any]]:
        make = partial(make, weight_initializer=initializer)
        return hidden_layer(sites, name, index, make, channels, layout, activation=activation, has_norm=index in normed)

    layers: list[tuple[str, Any]] = []
    inputs = image.channels
    for index, maps in enumerate(_MAPS):
        conv = partial(nn.Conv2D, maps, _KERNEL, padding=2 if index == 0 else 0, in_channels=inputs)
        layers += [*hidden("conv", index, conv, maps, "NCHW"), (f"pool{index}", _pooling(pooling))]
        inputs = maps
    inputs *= _side(image.height) * _side(image.width)
    for index, units in enumerate(_UNITS, len(_MAPS)):
        layers += hidden("dense", index, partial(nn.Dense, units, in_units=inputs), units, "NC")
        inputs = units
    layers.append(("output", nn.Dense(classes, in_units=inputs, weight_initializer=initializer)))
    return sequence(layers)


def _pooling(kind: str) -> Any:
    return nn.AvgPool2D(2) if kind == "average" else nn.MaxPool2D(2)


def _side(pixels: int) -> int:
    """Rows or columns that the second pooling leaves."""
    return (pixels // 2 - (_KERNEL - 1)) // 2
