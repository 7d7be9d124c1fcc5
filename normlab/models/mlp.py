"""The multilayer perceptron: dense layers, each with an activation, some with a norm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Union

from pydantic import NonNegativeInt, PositiveInt

from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model, hookimpl
from normlab.errors import SpecError
from normlab.models.weight_initializers import InitializerPart, to_initializer
from normlab.spec import Part

if TYPE_CHECKING:
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
    """Build dense layers, y = activation(x W + b): one for each hidden size and one for the outputs.

    Args:
        sites: Builds norms and activations.
        shape: Shape of one example, without the batch axis.
        classes: Number of outputs.
        hidden: Number of units of each hidden layer.
        activation: Activation of the hidden layers.
        output_activation: Activation of the outputs.
        norm_sites: Which hidden layers have a norm, counted from 0, or all.
        norm_position: Whether the norm comes before or after the activation.
        weight_initializer: Initializer of the weights.
        bias_initializer: Initializer of the biases.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: A hidden layer does not exist, or the activation is unknown.
    """
    from normlab.models.layers import hidden_layer  # noqa: PLC0415 - loads MXNet, which listing doesn't need
    from normlab.models.tree import sequence  # noqa: PLC0415 - as above

    dense = mxnet().gluon.nn.Dense
    normed = range(len(hidden)) if norm_sites == "all" else norm_sites
    beyond = sorted(site for site in normed if site >= len(hidden))
    if beyond:
        raise SpecError(
            f"norm_sites: there is no hidden layer {beyond[0]}; expected numbers from 0 to {len(hidden) - 1}, or all"
        )
    initializers = {
        "weight_initializer": to_initializer(weight_initializer),
        "bias_initializer": to_initializer(bias_initializer),
    }
    layers: list[tuple[str, Any]] = []
    inputs = prod(shape)
    for index, units in enumerate((*hidden, classes)):
        layers += hidden_layer(
            sites,
            "dense",
            index,
            partial(dense, units, in_units=inputs, **initializers),
            units,
            "NC",
            activation=activation if index < len(hidden) else output_activation,
            has_norm=index in normed,
            norm_first=norm_position == "before",
        )
        inputs = units
    return sequence(layers)


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `mlp`."""
    yield Model("mlp", mlp, summary="multilayer perceptron")
