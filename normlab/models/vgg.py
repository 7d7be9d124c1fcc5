"""VGG (Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556), table 1, for small images.

Five stages of 3x3 convolutions, each with a norm before its activation. A stage ends with pooling that halves rows and
columns; the next has twice as many channels, up to eight times those of the first. As usual for small images, the
paper's two hidden dense layers of 4096 units are left out: one dense layer follows the average over all positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model, hookimpl
from normlab.models.weight_initializers import InitializerPart, to_initializer
from normlab.spec import Part

if TYPE_CHECKING:
    from normlab.models.sites import Sites

_HE = Part(name="he", parameters={})

#: Convolutions of each stage. 11 to 19 are the paper's configurations A, B, D and E; 8 has one per stage.
STAGES = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
#: Channels of each stage, as multiples of the width.
_FACTORS = (1, 2, 4, 8, 8)


def vgg(
    sites: Sites,
    shape: tuple[int, ...],
    classes: int,
    *,
    depth: Literal[8, 11, 13, 16, 19] = 8,
    width: PositiveInt = 64,
    activation: str = "relu",
    weight_initializer: InitializerPart = _HE,
) -> Any:
    """Build convolutions in five stages and one dense layer.

    Args:
        sites: Builds norms and activations.
        shape: Shape of one example, `(channels, height, width)`, of any size.
        classes: Number of outputs.
        depth: The paper's number of layers, of which three are dense (here only one): 8 has 5 convolutions.
        width: Number of channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        activation: Activation of the convolutions.
        weight_initializer: Initializer of the weights; biases are initialized to zeros.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: The examples are not images, or the activation is unknown.
    """
    from normlab.models.layers import (  # noqa: PLC0415 - loads MXNet, which listing doesn't need
        GlobalAverage,
        convolution,
        image_shape,
    )
    from normlab.models.tree import sequence  # noqa: PLC0415 - as above

    nn = mxnet().gluon.nn
    initializer = to_initializer(weight_initializer)
    channels, rows, columns = image_shape(shape, "vgg")
    parts = []
    for stage, (convolutions, factor) in enumerate(zip(STAGES[depth], _FACTORS)):
        layers: list[tuple[str, Any]] = []
        for index in range(convolutions):
            conv = convolution(sites, channels, factor * width, initializer)
            channels = factor * width
            site = sites.norm(channels, "NCHW", activation=activation, layer_before=conv)
            layers += [(f"conv{index}", conv), (f"site{index}", site)]
        # a single row or column can't be halved
        if min(rows, columns) > 1:
            layers.append(("pool", nn.MaxPool2D(2)))
            rows, columns = rows // 2, columns // 2
        parts.append((f"stage{stage}", sequence(layers)))
    output = nn.Dense(classes, in_units=channels, weight_initializer=initializer)
    return sequence([*parts, ("average", GlobalAverage(channels, rows * columns)), ("output", output)])


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `vgg`."""
    yield Model("vgg", vgg, summary="plain stages of 3x3 convolutions", paper="arXiv:1409.1556")
