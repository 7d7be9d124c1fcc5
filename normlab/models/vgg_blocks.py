"""The Gluon blocks of VGG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.backend.mxnet import mxnet
from normlab.models.images import image_shape
from normlab.models.layers import convolution
from normlab.models.pooling import GlobalAverage
from normlab.models.tree import sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.models.sites import Sites

nn = mxnet().gluon.nn

#: Channels of each stage, in widths.
_FACTORS = (1, 2, 4, 8, 8)


def build(
    sites: Sites,
    shape: Sequence[int],
    classes: int,
    stages: Sequence[int],
    width: int,
    activation: str,
    initializer: Any,
) -> Any:
    """Stack the stages.

    Args:
        sites: Makes norms and activations.
        shape: Shape of one example.
        classes: Number of outputs.
        stages: Number of convolutions of each stage.
        width: Channels of the first stage.
        activation: Activation of the convolutions.
        initializer: Of the weights.
    """
    channels, height, width_left = image_shape(shape, "vgg")
    parts = []
    for stage, (depth, factor) in enumerate(zip(stages, _FACTORS)):
        layers: list[tuple[str, Any]] = []
        for index in range(depth):
            conv = convolution(sites, channels, factor * width, initializer)
            channels = factor * width
            site = sites.norm(channels, "NCHW", activation=activation, layer_before=conv)
            layers += [(f"conv{index}", conv), (f"site{index}", site)]
        # an image that is a single row or column has nothing left to halve
        if min(height, width_left) > 1:
            layers.append(("pool", nn.MaxPool2D(2)))
            height, width_left = height // 2, width_left // 2
        parts.append((f"stage{stage}", sequence(layers)))
    output = nn.Dense(classes, in_units=channels, weight_initializer=initializer)
    return sequence([*parts, ("average", GlobalAverage(channels, height * width_left)), ("output", output)])
