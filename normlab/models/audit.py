"""What a network costs, counted: so that arms of a study can be seen to be of one size."""

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
    """Count what a network holds and computes.

    Args:
        network: The network, its parameters drawn.
        shape: Shape of one example.

    Returns:
        `parameters`: values that the optimizer changes, those of norms among them;
        `state`: values of running state;
        `biases`: values of the biases of dense layers and convolutions, which are among the parameters;
        `optional_biases`: of these, values of biases that are there only because no norm brings a shift;
        `operations`: additions and multiplications of all dense layers and convolutions in a forward pass of one
        example. Norms, activations, pooling, sums, and what methods do to weights, are not counted.
    """
    named = network.parameters
    biases = [name for name in named if name.rpartition(".")[2] == "bias"]
    return {
        "parameters": _values(p for p in named.values() if p.grad_req != "null"),
        "state": _values(network.states()),
        "biases": _values(named[name] for name in biases),
        "optional_biases": _values(named[name] for name in network.optional_biases),
        "operations": operations(network, shape),
    }


def _values(parameters: Iterable[Any]) -> int:
    return sum(prod(parameter.shape) for parameter in parameters)


def operations(network: Network, shape: Sequence[int]) -> int:
    """Count the additions and multiplications of dense layers and convolutions, for one example of this shape.

    An example of zeros goes through the network in prediction, since alone it has no statistics to train by.
    """
    counts: list[int] = []

    def look(layer: Any, taken: tuple[Any, ...], given: Any) -> None:
        inner = layer.layer if isinstance(layer, WeightedLayer) else layer
        counts.append(_of_layer(inner, taken[0].shape, given.shape))

    hooks = [
        layer.register_forward_hook(look)
        for layer in walk(network.block)
        if isinstance(layer, (*WEIGHTED, WeightedLayer))
    ]
    context = next(iter(network.parameters.values())).list_ctx()[0] if network.parameters else mx.cpu()
    try:
        # out of training mode, operators reorder weights in place, which in a trainer are parts of longer arrays
        with mx.autograd.pause(train_mode=True), frozen_state(), tracing(Trace(training=False)):
            network.block(mx.nd.zeros((1, *shape), ctx=context))
    finally:
        for hook in hooks:
            hook.detach()
    return sum(counts)


def _of_layer(layer: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> int:
    # a weight is (out, in, ...), and each of its values acts once at each position of the output; that of a
    # transposed convolution is (in, out, ...) and acts at each position of the input
    positions = taken if "Transpose" in type(layer).__name__ else given
    weight = layer.weight.shape
    biased = prod(given) if layer.bias is not None else 0
    return int(2 * prod(positions) * prod(weight[1:]) + biased)
