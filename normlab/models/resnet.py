"""ResNet for small images (He, Zhang, Ren, Sun, CVPR 2016, arXiv:1512.03385), section 4.2.

    y = relu(F(x) + shortcut(x)),    F(x) = norm(conv(relu(norm(conv(x)))))

A convolution with 16 channels, three stages of n such blocks with 16, 32 and 64 channels, the first block of the second
and third stage with stride 2, the average over all positions, and one dense layer: 6 n + 2 layers with weights.
Convolutions are 3x3 and have a bias unless the norm after them has a shift.

Where the shape changes, the shortcut follows option A of the paper, every second row and column with appended channels
of zeros, or option B, a 1x1 convolution of stride 2 with a norm, as in the authors' own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model, hookimpl
from normlab.models.weight_initializers import InitializerPart, to_initializer
from normlab.spec import Part

if TYPE_CHECKING:
    from normlab.models.sites import Sites

_CHANNELS = (16, 32, 64)
_HE = Part(name="he", parameters={})


def resnet(
    sites: Sites,
    shape: tuple[int, ...],
    classes: int,
    *,
    depth: Literal[8, 20, 32, 44, 56, 110] = 20,
    shortcut: Literal["A", "B"] = "A",
    activation: str = "relu",
    zero_gamma: bool = False,
    weight_initializer: InitializerPart = _HE,
) -> Any:
    """Build residual blocks in three stages and one dense layer.

    Args:
        sites: Builds norms, activations and the sums of branches and shortcuts.
        shape: Shape of one example, `(channels, height, width)`, of any size.
        classes: Number of outputs.
        depth: Number of layers with weights, `6 n + 2` for n blocks per stage.
        shortcut: Shortcut where the shape changes: A subsamples and appends zeros, B is a 1x1 convolution.
        activation: Activation within and after the blocks. A norm that replaces it does so only within the branches.
        zero_gamma: Whether gamma of the last norm of each branch starts from 0, so that blocks start as shortcuts.
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

    plan = _Plan(
        blocks=(depth - 2) // 6,
        projects=shortcut == "B",
        activation=activation,
        last_gamma="zeros" if zero_gamma else "ones",
        initializer=to_initializer(weight_initializer),
    )
    inputs, height, width = image_shape(shape, "resnet")
    channels = _CHANNELS[0]
    conv = convolution(sites, inputs, channels, plan.initializer)
    parts = [
        ("conv", conv),
        ("site", sites.norm(channels, "NCHW", activation=plan.activation, layer_before=conv)),
    ]
    for stage, stage_channels in enumerate(_CHANNELS):
        blocks = []
        for index in range(plan.blocks):
            number = stage * plan.blocks + index
            blocks.append((f"block{index}", _block(sites, channels, stage_channels, number, plan)))
            channels = stage_channels
        parts.append((f"stage{stage}", sequence(blocks)))
        if stage > 0:
            height, width = (height + 1) // 2, (width + 1) // 2
    output = mxnet().gluon.nn.Dense(classes, in_units=channels, weight_initializer=plan.initializer)
    return sequence([*parts, ("average", GlobalAverage(channels, height * width)), ("output", output)])


class _Plan(NamedTuple):
    """Settings that all blocks share.

    Attributes:
        blocks: Number of blocks per stage.
        projects: Whether shortcuts that change the shape have a convolution.
        activation: Activation within and after the blocks.
        last_gamma: Initial gamma of the last norm of each branch.
        initializer: Initializer of the weights.
    """

    blocks: int
    projects: bool
    activation: str
    last_gamma: str
    initializer: Any


def _block(sites: Sites, inputs: int, channels: int, number: int, plan: _Plan) -> Any:
    from normlab.models.layers import BasicBlock, convolution  # noqa: PLC0415 - as above
    from normlab.models.tree import sequence  # noqa: PLC0415 - as above
    from normlab.ops.activations import make_activation  # noqa: PLC0415 - as above

    changes = inputs != channels
    stride = 2 if changes else 1
    conv0 = convolution(sites, inputs, channels, plan.initializer, stride=stride)
    conv1 = convolution(sites, channels, channels, plan.initializer)
    branch = sequence(
        [
            ("conv0", conv0),
            ("site0", sites.norm(channels, "NCHW", activation=plan.activation, layer_before=conv0)),
            ("conv1", conv1),
            ("site1", sites.norm(channels, "NCHW", gamma_initializer=plan.last_gamma, layer_before=conv1)),
        ]
    )
    join = sites.residual(channels, number, len(_CHANNELS) * plan.blocks)
    shortcut = _shortcut(sites, inputs, channels, plan) if changes else None
    return BasicBlock(branch, shortcut, join, make_activation(plan.activation))


def _shortcut(sites: Sites, inputs: int, channels: int, plan: _Plan) -> Any:
    from normlab.models.layers import Subsampling, convolution  # noqa: PLC0415 - as above
    from normlab.models.tree import sequence  # noqa: PLC0415 - as above

    if not plan.projects:
        return Subsampling()
    conv = convolution(sites, inputs, channels, plan.initializer, kernel=1, stride=2, padding=0)
    return sequence([("conv", conv), ("site", sites.norm(channels, "NCHW", layer_before=conv))])


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `resnet`."""
    yield Model("resnet", resnet, summary="residual network for small images", paper="arXiv:1512.03385")
