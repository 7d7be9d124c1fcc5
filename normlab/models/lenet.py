"""LeNet-5 (LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998, doi:10.1109/5.726791), section II.B.

Two 5x5 convolutions, each followed by a norm, an activation and pooling that halves rows and columns, then dense layers
of 120 and 84 units and the outputs. Differences from the paper: each map of the second convolution uses all maps of the
first instead of selected ones, subsampling has no coefficients, and the outputs are a dense layer instead of Gaussian
connections. Images are padded by two zeros on each side, so those of 28x28 become the paper's 32x32.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Literal, Union

from pydantic import NonNegativeInt

from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model, hookimpl
from normlab.errors import SpecError
from normlab.models.weight_initializers import InitializerPart, to_initializer
from normlab.spec import Part

if TYPE_CHECKING:
    from normlab.models.sites import Sites

_MAPS = (6, 16)
_UNITS = (120, 84)
_SITES = len(_MAPS) + len(_UNITS)
_KERNEL = 5
#: Images need this many rows and columns, or the second pooling has no output.
_SMALLEST = 12
_XAVIER = Part(name="xavier", parameters={})


def lenet(
    sites: Sites,
    shape: tuple[int, ...],
    classes: int,
    *,
    activation: str = "tanh",
    pooling: Literal["average", "max"] = "average",
    norm_sites: Union[Literal["all"], tuple[NonNegativeInt, ...]] = "all",
    weight_initializer: InitializerPart = _XAVIER,
) -> Any:
    """Build LeNet-5: two convolutions and two dense layers, each with a norm before its activation, and the outputs.

    Args:
        sites: Builds norms and activations.
        shape: Shape of one example, `(channels, height, width)`, of at least 12x12 pixels.
        classes: Number of outputs.
        activation: Activation of the four hidden layers.
        pooling: Whether to pool 2x2 pixels by their average, as in the paper, or by their maximum.
        norm_sites: Which hidden layers have a norm, counted from 0, or all: 0 and 1 are convolutions, 2 and 3 dense.
        weight_initializer: Initializer of the weights; biases are initialized to zeros.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: The images are too small, a hidden layer does not exist, or the activation is unknown.
    """
    from normlab.models.layers import hidden_layer, image_shape  # noqa: PLC0415 - loads MXNet, which listing doesn't need
    from normlab.models.tree import sequence  # noqa: PLC0415 - as above

    nn = mxnet().gluon.nn
    pool = nn.AvgPool2D if pooling == "average" else nn.MaxPool2D
    initializer = to_initializer(weight_initializer)
    normed = range(_SITES) if norm_sites == "all" else norm_sites
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
        layers += [*hidden("conv", index, conv, maps, "NCHW"), (f"pool{index}", pool(2))]
        inputs = maps
    inputs *= _side(image.height) * _side(image.width)
    for index, units in enumerate(_UNITS, len(_MAPS)):
        layers += hidden("dense", index, partial(nn.Dense, units, in_units=inputs), units, "NC")
        inputs = units
    layers.append(("output", nn.Dense(classes, in_units=inputs, weight_initializer=initializer)))
    return sequence(layers)


def _side(pixels: int) -> int:
    """Return the rows or columns that the second pooling leaves."""
    return (pixels // 2 - (_KERNEL - 1)) // 2


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `lenet`."""
    yield Model("lenet", lenet, summary="LeNet-5: two convolutions, two dense layers", paper="doi:10.1109/5.726791")
