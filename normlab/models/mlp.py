"""The multilayer perceptron: dense layers, each with an activation, some with a norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Union

from pydantic import NonNegativeInt, PositiveInt

from normlab.catalog.entries import Model
from normlab.catalog.hookspecs import hookimpl
from normlab.models.weight_initializers import InitializerPart, named
from normlab.spec import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.models.sites import Sites

_XAVIER = Part(name="xavier", parameters={})
_ZEROS = Part(name="zeros", parameters={})


def mlp(
    sites: Sites,
    shape: tuple[int, ...],
    classes: int,
    *,
    hidden: tuple[PositiveInt, ...] = (100, 100),
    activation: str = "relu",
    output_activation: str = "identity",
    norm_sites: Union[Literal["all"], tuple[NonNegativeInt, ...]] = "all",
    norm_position: Literal["before", "after"] = "before",
    weight_initializer: InitializerPart = _XAVIER,
    bias_initializer: InitializerPart = _ZEROS,
) -> Any:
    """Dense layers: y = activation(x W + b), once for each hidden size and once for the classes.

    Args:
        sites: Makes norms and activations.
        shape: Shape of one example, without the batch.
        classes: Number of outputs.
        hidden: Units of each hidden layer.
        activation: Activation of the hidden layers.
        output_activation: Activation of the outputs.
        norm_sites: Which hidden layers get a norm, counted from 0, or all of them.
        norm_position: Whether the norm stands before or after the activation.
        weight_initializer: How the weights start.
        bias_initializer: How the biases start.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: A site beyond the hidden layers, or an unknown activation.
    """
    from normlab.models.mlp_blocks import build  # noqa: PLC0415 - loads MXNet, which listing does without

    return build(
        sites,
        (*hidden, classes),
        inputs=_product(shape),
        activations=(*[activation] * len(hidden), output_activation),
        normed=range(len(hidden)) if norm_sites == "all" else norm_sites,
        norm_first=norm_position == "before",
        initializers=(named(weight_initializer), named(bias_initializer)),
    )


def _product(numbers: tuple[int, ...]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `mlp`."""
    yield Model("mlp", mlp, summary="multilayer perceptron")
