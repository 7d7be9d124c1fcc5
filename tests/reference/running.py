"""Run a method through the passes of a stored case, and measure its deviation from the stored results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from reference.archive import read

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.models.tree import own_parameters, sequence, walk
from normlab.norms.blocks import NormBlock, WeightBlock

if TYPE_CHECKING:
    from reference.archive import Case, Pass
    from reference.rows import Row

    from normlab.norms.contract import Norm

mx = mxnet()

#: Number of axes of the weight of a dense layer.
_DENSE = 2


class Runner:
    """A method in a block, with the parameters and states of a case.

    Args:
        norm: The method.
        row: Its parameters.
        case: The case.
    """

    def __init__(self, norm: Norm, row: Row, case: Case) -> None:
        self._row = row
        self._block = _block(norm, row, case)
        self._block.initialize()
        self._block.cast(row.dtype)
        # the layer before the method, if there is one, comes first
        blocks = list(walk(self._block))
        self._parameters = {name: each for block in blocks for name, each in own_parameters(block).items()}
        for name, value in {**row.values, **self._named(case.parameters), **self._named(case.states)}.items():
            self._put(name, value)
        hybridize = blocks[-1].method.hybridizable
        self._graphs = {
            training: Graph(
                lambda _, x: self._block(x), self._parameters.values(), training=training, hybridize=hybridize
            )
            for training in (True, False)
        }

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        return {self._row.names.get(name, name): value for name, value in values.items()}

    def _put(self, name: str, value: Any) -> None:
        parameter = self._parameters[name]
        whole = np.broadcast_to(value, parameter.shape) if np.ndim(value) == 0 else value
        parameter.set_data(mx.nd.array(whole, dtype=parameter.dtype))

    def run(self, stored: Pass, *, training: bool) -> dict[str, tuple[Any, Any]]:
        """Run one pass.

        Returns:
            Found and stored arrays for output, gradients and states, by name.
        """
        x, head = (mx.nd.array(value, dtype=self._row.dtype) for value in (stored.x, stored.cotangent))
        x.attach_grad()
        for name, value in self._named(stored.parameters).items():
            self._put(name, value)
        for name in self._named(stored.gradients):
            self._parameters[name].zero_grad()
        with mx.autograd.record(train_mode=training):
            y = self._graphs[training](x)[0]
        mx.autograd.backward([y], [head])
        pairs = {"y": (y.asnumpy(), stored.y), "x_gradient": (x.grad.asnumpy(), stored.x_gradient)}
        for name, value in self._named(stored.gradients).items():
            pairs[f"gradient of {name}"] = (self._parameters[name].grad().asnumpy(), value)
        for name, value in self._named(stored.states).items():
            pairs[f"state {name}"] = (self._parameters[name].data().asnumpy(), value)
        return pairs


def _block(norm: Norm, row: Row, case: Case) -> Any:
    layout, shape = case.header.layout, case.predict.x.shape
    if layout == "weight":
        return WeightBlock(norm.weight(**row.parameters, out_channels=shape[0]), shape)
    channels = shape[2] if layout == "NTC" else shape[1]
    method = norm.layer(**row.parameters, in_channels=channels, layout=layout)
    if not method.needs_layer_before:
        return NormBlock(method)
    before = _layer(case.parameters["weight"], channels, layout)
    return sequence([("layer", before), ("norm", NormBlock(method, before))])


def _layer(weight: Any, channels: int, layout: str) -> Any:
    """Build the layer with the shape of this weight, with as many outputs as inputs."""
    nn = mx.gluon.nn
    if weight.ndim == _DENSE:
        return nn.Dense(channels, in_units=channels, use_bias=False, flatten=layout == "NC")
    groups, kernel = channels // weight.shape[1], weight.shape[2:]
    padding = tuple(size // 2 for size in kernel)
    return nn.Conv2D(channels, kernel, padding=padding, groups=groups, use_bias=False, in_channels=channels)


def deviations(norm: Norm, row: Row) -> dict[str, float]:
    """Measure how far a method deviates from a stored case.

    Args:
        norm: The method.
        row: Its parameters and the case.

    Returns:
        For each array of each pass, the largest difference relative to the largest stored number; the largest
        difference itself where all stored numbers are 0.
    """
    case = read(*row.source)
    if case.header.layout == "gradient":
        return _of_gradients(norm, row, case)
    runner = Runner(norm, row, case)
    found = {}
    for name, stored in case.passes:
        for what, pair in runner.run(stored, training=stored is not case.predict).items():
            found[f"{name}: {what}"] = deviation(*pair)
    return found


def _of_gradients(norm: Norm, row: Row, case: Case) -> dict[str, float]:
    method = norm.gradient(**row.parameters)
    found = {}
    for name, stored in case.passes:
        weight, gradient = (mx.nd.array(value, dtype=row.dtype) for value in (stored.x, stored.cotangent))
        found[f"{name}: y"] = deviation(method(mx.nd, "dense0.weight", weight, gradient).asnumpy(), stored.y)
    return found


def deviation(found: Any, expected: Any) -> float:
    """Return the largest difference relative to the largest expected number; infinite for other shapes or NaN."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    scale = np.abs(expected).max(initial=0) or 1.0
    return float(np.abs(found - expected).max(initial=0) / scale)
