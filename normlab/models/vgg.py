"""VGG (Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556), table 1, for small images.

Stages of 3x3 convolutions, each with a norm before its activation; a stage ends in a pooling that halves rows and
columns, and the next has twice the channels, up to eight times. As is usual for small images, the paper's two hidden
dense layers of 4096 units are left out: one dense layer follows the average over what positions are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from normlab.catalog.entries import Model
from normlab.catalog.hookspecs import hookimpl
from normlab.models.weight_initializers import InitializerPart, named
from normlab.spec import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.models.sites import Sites

_HE = Part(name="he", parameters={})

#: Convolutions of each stage. 11 to 19 are the paper's configurations A, B, D and E; 8 has one a stage.
STAGES = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


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
    """Convolutions in five stages and one dense layer.

    Args:
        sites: Makes norms and activations.
        shape: Shape of one example, `(channels, height, width)`, of any size.
        classes: Number of outputs.
        depth: The paper's number of layers, of which the three dense ones are here one: 8 has 5 convolutions.
        width: Channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        activation: Activation of the convolutions.
        weight_initializer: How the weights start; biases start from zeros.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: An example is no image, or the activation is unknown.
    """
    from normlab.models.vgg_blocks import build  # noqa: PLC0415 - loads MXNet, which listing does without

    return build(sites, shape, classes, STAGES[depth], width, activation, named(weight_initializer))


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `vgg`."""
    yield Model("vgg", vgg, summary="plain stages of 3x3 convolutions", paper="arXiv:1409.1556")
