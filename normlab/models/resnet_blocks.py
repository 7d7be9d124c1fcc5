"""The Gluon blocks of the residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.models.activations import make_activation
from normlab.models.images import image_shape
from normlab.models.layers import convolution
from normlab.models.pooling import GlobalAverage
from normlab.models.tree import sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.models.sites import Sites

gluon = mxnet().gluon
nn = gluon.nn
HybridBlock: Any = gluon.HybridBlock

_CHANNELS = (16, 32, 64)


class Plan(NamedTuple):
    """What a residual network is to be.

    Attributes:
        blocks: Number of blocks of each stage.
        projects: Whether shortcuts that change their shape have a convolution.
        activation: Activation within and after the blocks.
        last_gamma: How gamma of the last norm of each branch starts.
        initializer: How the weights start.
    """

    blocks: int
    projects: bool
    activation: str
    last_gamma: str
    initializer: Any


class Subsampling(HybridBlock):
    """Option A of the paper: `(N, C, H, W)` to `(N, 2 C, ceil(H / 2), ceil(W / 2))`, no parameters.

    Every second row and column, and as many channels of zeros as there are channels.
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Subsample and pad."""
        kept = F.slice(x, begin=(None, None, None, None), end=(None, None, None, None), step=(1, 1, 2, 2))
        return F.concat(kept, F.zeros_like(kept), dim=1)


class BasicBlock(HybridBlock):
    """A residual block: activation(join(branch(x), shortcut(x))).

    Args:
        branch: The branch, `(N, C, H, W)` to `(N, C', H', W')`.
        shortcut: The shortcut, to the same shape, or None where x has it.
        join: What makes one of the two.
        activation: What comes last.
    """

    def __init__(self, branch: Any, shortcut: Any, join: Any, activation: Any) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.join = join
        self.activation = activation

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: ARG002 - Gluon's signature
        """Compute the block."""
        around = x if self.shortcut is None else self.shortcut(x)
        return self.activation(self.join(self.branch(x), around))


def build(sites: Sites, shape: Sequence[int], classes: int, plan: Plan) -> Any:
    """Stack the stages.

    Args:
        sites: Makes norms, activations and joins.
        shape: Shape of one example.
        classes: Number of outputs.
        plan: What the network is to be.
    """
    inputs, height, width = image_shape(shape, "resnet")
    channels = _CHANNELS[0]
    conv = convolution(sites, inputs, channels, plan.initializer)
    parts = [
        ("conv", conv),
        ("site", sites.norm(channels, "NCHW", activation=plan.activation, layer_before=conv)),
    ]
    for stage, wanted in enumerate(_CHANNELS):
        blocks = []
        for index in range(plan.blocks):
            number = stage * plan.blocks + index
            blocks.append((f"block{index}", _block(sites, channels, wanted, number, plan)))
            channels = wanted
        parts.append((f"stage{stage}", sequence(blocks)))
        if stage > 0:
            height, width = (height + 1) // 2, (width + 1) // 2
    output = nn.Dense(classes, in_units=channels, weight_initializer=plan.initializer)
    return sequence([*parts, ("average", GlobalAverage(channels, height * width)), ("output", output)])


def _block(sites: Sites, inputs: int, channels: int, number: int, plan: Plan) -> BasicBlock:
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


def _shortcut(sites: Sites, inputs: int, channels: int, plan: Plan) -> Any:
    if not plan.projects:
        return Subsampling()
    conv = convolution(sites, inputs, channels, plan.initializer, kernel=1, stride=2, padding=0)
    return sequence([("conv", conv), ("site", sites.norm(channels, "NCHW", layer_before=conv))])
