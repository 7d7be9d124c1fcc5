"""The Gluon blocks of the multilayer perceptron."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.layers import hidden_layer
from normlab.models.tree import sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from normlab.models.sites import Sites

nn = mxnet().gluon.nn


def build(
    sites: Sites,
    units: Sequence[int],
    *,
    inputs: int,
    activations: Sequence[str],
    normed: Collection[int],
    norm_first: bool,
    initializers: tuple[Any, Any],
) -> Any:
    """Stack dense layers.

    Args:
        sites: Makes norms and activations.
        units: Units of each layer, the outputs last.
        inputs: Number of input features.
        activations: Activation of each layer.
        normed: The layers with a norm, counted from 0.
        norm_first: Whether the norm stands before the activation.
        initializers: Of weights and of biases.

    Raises:
        SpecError: A norm is wanted at a layer that is not hidden.
    """
    beyond = sorted(site for site in normed if site >= len(units) - 1)
    if beyond:
        raise SpecError(
            f"norm_sites: there is no hidden layer {beyond[0]}; expected numbers from 0 to {len(units) - 2}, or all"
        )
    weight, bias = initializers
    layers: list[tuple[str, Any]] = []
    for index, (width, activation) in enumerate(zip(units, activations)):
        make = partial(nn.Dense, width, in_units=inputs, weight_initializer=weight, bias_initializer=bias)
        has_norm = index in normed
        layers += hidden_layer(
            sites, "dense", index, make, width, "NC", activation=activation, has_norm=has_norm, norm_first=norm_first
        )
        inputs = width
    return sequence(layers)
