"""Count the parameters and operations of a network, to show that the arms of a study have the same size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import Trace, frozen_state, tracing
from normlab.models.network import Network
from normlab.models.tree import walk
from normlab.models.weights import WEIGHTED, WeightedLayer

mx = mxnet()


def audit(network: Network, shape: Sequence[int]) -> dict[str, int]:
    """Count the parameters and operations of a network.

    Args:
        network: The network, initialized.
        shape: Shape of one example.

    Returns:
        `parameters`: number of trainable values, including those of norms;
        `state`: number of values of running state;
        `biases`: number of trainable values in biases of dense layers and convolutions;
        `optional_biases`: those of them in biases that exist only because no norm has a shift there;
        `operations`: additions and multiplications of all dense layers and convolutions in the forward pass of one
        example, without norms, activations, pooling, sums, and the computation of normalized weights.
    """
    named = network.parameters
    biases = [name for name in named if name.rpartition(".")[2] == "bias"]
    return {
        "parameters": _count_values(p for p in named.values() if p.grad_req != "null"),
        "state": _count_values(network.states()),
        "biases": _count_values(named[name] for name in biases),
        "optional_biases": _count_values(named[name] for name in network.optional_biases),
        "operations": count_operations(network, shape),
    }


def _count_values(parameters: Iterable[Any]) -> int:
    return sum(prod(parameter.shape) for parameter in parameters)


def count_operations(network: Network, shape: Sequence[int]) -> int:
    """Count the additions and multiplications of dense layers and convolutions for one example of this shape.

    Runs an example of zeros through the network in eval mode, since a single example has no batch statistics.
    """
    counts: list[int] = []

    def count(layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        inner = layer.layer if isinstance(layer, WeightedLayer) else layer
        counts.append(_count_of_layer(inner, inputs[0].shape, output.shape))

    hooks = [
        layer.register_forward_hook(count)
        for layer in walk(network.block)
        if isinstance(layer, (*WEIGHTED, WeightedLayer))
    ]
    context = next(iter(network.parameters.values())).list_ctx()[0] if network.parameters else mx.cpu()
    try:
        # outside training mode, operators reorder weights in place, but a trainer's weights are slices of larger arrays
        with mx.autograd.pause(train_mode=True), frozen_state(), tracing(Trace(training=False)):
            network.block(mx.nd.zeros((1, *shape), ctx=context))
    finally:
        for hook in hooks:
            hook.detach()
    return sum(counts)


def _count_of_layer(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    # a weight is (out, in, ...), and each of its values is used once at each position of the output; that of a
    # transposed convolution is (in, out, ...) and is used at each position of the input
    positions = inputs if "Transpose" in type(layer).__name__ else outputs
    weight = layer.weight.shape
    biased = prod(outputs) if layer.bias is not None else 0
    return int(2 * prod(positions) * prod(weight[1:]) + biased)
