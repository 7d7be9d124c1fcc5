"""LeNet-5 (LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998, doi:10.1109/5.726791), section II.B.

Two convolutions of 5x5, each with a norm, an activation and a pooling that halves rows and columns, then dense layers
of 120 and 84 units and the outputs. Where it differs from the paper: the second convolution takes all maps of the
first instead of a chosen few, subsampling has no coefficients of its own, and the outputs are a dense layer instead of
Gaussian connections. Images get a border of two zeros, by which those of 28x28 become the paper's 32x32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Union

from pydantic import NonNegativeInt

from normlab.catalog.entries import Model
from normlab.catalog.hookspecs import hookimpl
from normlab.models.weight_initializers import InitializerPart, named
from normlab.spec import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.models.sites import Sites

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
    """Two convolutions and two dense layers, each with a norm before its activation, then the outputs.

    Args:
        sites: Makes norms and activations.
        shape: Shape of one example, `(channels, height, width)`, of at least 12x12 pixels.
        classes: Number of outputs.
        activation: Activation of the four hidden layers.
        pooling: What stands for four neighbours: their average, as in the paper, or the greatest.
        norm_sites: Which hidden layers get a norm, counted from 0, or all: 0 and 1 are convolutions, 2 and 3 dense.
        weight_initializer: How the weights start; biases start from zeros.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: The images are too small, a site is beyond the fourth, or the activation is unknown.
    """
    from normlab.models.lenet_blocks import build  # noqa: PLC0415 - loads MXNet, which listing does without

    return build(
        sites,
        shape,
        classes,
        activation=activation,
        pooling=pooling,
        normed=range(4) if norm_sites == "all" else norm_sites,
        initializer=named(weight_initializer),
    )


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `lenet`."""
    yield Model("lenet", lenet, summary="LeNet-5: two convolutions, two dense layers", paper="doi:10.1109/5.726791")
