"""ResNet for small images (He, Zhang, Ren, Sun, CVPR 2016, arXiv:1512.03385), section 4.2.

    y = relu(F(x) + shortcut(x)),    F(x) = norm(conv(relu(norm(conv(x)))))

A convolution of 16 channels, three stages of n such blocks with 16, 32 and 64 channels, the first block of stages two
and three with stride 2, the average over all positions, and one dense layer: 6 n + 2 layers with weights. Convolutions
are 3x3 and have a bias wherever no norm after them brings a shift.

A shortcut that has to change its shape does so by option A of the paper: every second row and column, and channels of
zeros; or by option B: a 1x1 convolution of stride 2 with a norm, as in the authors' own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from normlab.catalog.entries import Model
from normlab.catalog.hookspecs import hookimpl
from normlab.models.weight_initializers import InitializerPart, named
from normlab.spec import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.models.sites import Sites

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
    """Residual blocks in three stages and one dense layer.

    Args:
        sites: Makes norms, activations and what joins a branch to its shortcut.
        shape: Shape of one example, `(channels, height, width)`, of any size.
        classes: Number of outputs.
        depth: Layers with weights, `6 n + 2` for n blocks a stage.
        shortcut: Where shapes change: A subsamples and pads with zeros, B projects by a 1x1 convolution.
        activation: Activation within and after the blocks; a norm that replaces it does so within the branches only.
        zero_gamma: Whether gamma of the last norm of each branch starts from 0, so that blocks start as shortcuts.
        weight_initializer: How the weights start; biases start from zeros.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: An example is no image, or the activation is unknown.
    """
    from normlab.models.resnet_blocks import Plan, build  # noqa: PLC0415 - loads MXNet, which listing does without

    plan = Plan(
        blocks=(depth - 2) // 6,
        projects=shortcut == "B",
        activation=activation,
        last_gamma="zeros" if zero_gamma else "ones",
        initializer=named(weight_initializer),
    )
    return build(sites, shape, classes, plan)


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `resnet`."""
    yield Model("resnet", resnet, summary="residual network for small images", paper="arXiv:1512.03385")
