"""The ways of a method at a shape, each as a function that can be timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import accepted, check
from normlab.norms.blocks import NormBlock, ResidualBlock, WeightBlock
from normlab.norms.contract import Norm
from normlab.training.randomness import generator, keyed

mx = mxnet()

#: The label of the baseline: MXNet's operator in Gluon's layer, without normlab.
OPERATOR = "BatchNorm of MXNet"
#: Layouts by the number of axes.
LAYOUTS = {2: "NC", 4: "NCHW"}
#: Rows and columns of the kernel of the convolution whose weight is used.
_KERNEL = (3, 3)


class MethodToMeasure(NamedTuple):
    """A method to be measured.

    Attributes:
        label: Its name in the table.
        norm: The method.
        parameters: The given parameters; the rest have their defaults.
    """

    label: str
    norm: Norm
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """One way of a method, ready to run.

    Attributes:
        parameters: Number of learned values.
        state: Number of values of running state.
        compiled: Whether it runs as a compiled graph.
        forward: Runs it once and returns its output.
        cotangent: The gradient of the output, for the backward pass; None where there is no backward pass.
    """

    parameters: int
    state: int
    compiled: bool
    forward: Callable[[], Any]
    cotangent: Any = None


class NotMeasured(Exception):  # noqa: N818 - not an error: the table shows the message
    """A way costs nothing in a step, or cannot act at this shape."""


class Arrays:
    """The arrays for one shape: activations, and the weight of a layer that gives them.

    Args:
        shape: `(N, C)` or `(N, C, H, W)`.

    Attributes:
        shape: The shape.
        layout: `NC` or `NCHW`.
        channels: C.
        inputs: Two arrays of activations: of a site and of its shortcut.
        cotangent: The gradient of an output of the shape.
        weight: The weight of a dense layer or of a 3x3 convolution from C to C channels.
        weight_cotangent: Its gradient.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.layout = LAYOUTS[len(shape)]
        self.channels = shape[1]
        random = generator(0, "cost")
        kernel = _KERNEL if self.layout == "NCHW" else ()
        of_weight = (self.channels, self.channels, *kernel)

        def draw(size: tuple[int, ...], scale: float = 1.0) -> Any:
            array = mx.nd.array(scale * random.standard_normal(size))
            array.attach_grad()
            return array

        self.inputs = [draw(shape) for _ in range(2)]
        self.cotangent = draw(shape)
        self.weight = draw(of_weight, float(np.prod(of_weight[1:])) ** -0.5)
        self.weight_cotangent = draw(of_weight)

    def layer(self) -> Any:
        """Build the layer that has such a weight, from C to C channels."""
        nn = mx.gluon.nn
        if self.layout == "NC":
            return nn.Dense(self.channels, in_units=self.channels)
        rows, columns = _KERNEL
        padding = (rows // 2, columns // 2)
        return nn.Conv2D(self.channels, _KERNEL, padding=padding, in_channels=self.channels)

    @property
    def weight_name(self) -> str:
        """The structural name of such a weight in a network."""
        return "conv0.weight" if self.layout == "NCHW" else "dense0.weight"


def build_operator(arrays: Arrays) -> Subject:
    """Build the baseline, MXNet's own operator, hybridized."""
    block = mx.gluon.nn.BatchNorm(in_channels=arrays.channels)
    block.initialize()
    block.hybridize(static_alloc=True)
    count = 2 * arrays.channels
    return Subject(count, count, compiled=True, forward=lambda: block(arrays.inputs[0]), cotangent=arrays.cotangent)


def build_subject(method: MethodToMeasure, way: str, arrays: Arrays) -> Subject:
    """Build one way of a method at a shape.

    Raises:
        NotMeasured: It costs nothing in a step, or cannot act at this shape.
        SpecError: The method refuses the shape.
    """
    factory = getattr(method.norm, way)
    own = accepted(factory, check(method.norm.factories, method.parameters))
    with keyed(0, "cost"):
        return _BUILDERS[way](factory, own, arrays)


def _layer(factory: Any, own: Mapping[str, Any], arrays: Arrays) -> Subject:
    # as at a site: a method that replaces the activation computes it too
    method = factory(**own, in_channels=arrays.channels, layout=arrays.layout, activation="relu")
    if not method.needs_layer_before:
        return _hosted(NormBlock(method), arrays.inputs[:1], arrays.cotangent)
    x, input_before = arrays.inputs
    inputs = [x, input_before.detach(), arrays.weight.detach()]
    return _hosted(NormBlock(method, arrays.layer()), inputs, arrays.cotangent)


def _weight(factory: Any, own: Mapping[str, Any], arrays: Arrays) -> Subject:
    block = WeightBlock(factory(**own, out_channels=arrays.channels), arrays.weight.shape)
    built = _hosted(block, [arrays.weight], arrays.weight_cotangent)
    parameters = block.collect_params()
    for name, value in block.method.start(arrays.weight.asnumpy()).items():
        parameters[block.prefix + name].set_data(mx.nd.array(value))
    return built


def _residual(factory: Any, own: Mapping[str, Any], arrays: Arrays) -> Subject:
    if arrays.layout != "NCHW":
        raise NotMeasured("it acts where a branch meets its shortcut, in layout NCHW only")
    block = ResidualBlock(factory(**own, in_channels=arrays.channels, index=0, blocks=1))
    return _hosted(block, arrays.inputs, arrays.cotangent)


def _hosted(block: Any, inputs: list[Any], cotangent: Any) -> Subject:
    method = block.method
    block.initialize()
    graph = Graph(
        lambda _, *values: block(*values),
        block.collect_params().values(),
        training=True,
        hybridize=method.hybridizable,
    )
    own = [(declared, parameter.shape) for declared, parameter in _with_parameters(block)]
    return Subject(
        parameters=sum(int(np.prod(shape)) for declared, shape in own if declared.trainable),
        state=sum(int(np.prod(shape)) for declared, shape in own if declared.state),
        compiled=method.hybridizable,
        forward=lambda: graph(*inputs)[0],
        cotangent=cotangent,
    )


def _with_parameters(block: Any) -> list[tuple[Any, Any]]:
    parameters = block.collect_params()
    return [(declared, parameters[block.prefix + name]) for name, declared in block.method.declared.items()]


def _gradient(factory: Any, own: Mapping[str, Any], arrays: Arrays) -> Subject:
    method = factory(**own)
    arguments = (arrays.weight_name, arrays.weight.detach(), arrays.weight_cotangent.detach())
    return Subject(0, 0, compiled=False, forward=lambda: method(mx.nd, *arguments))


def _project(factory: Any, own: Mapping[str, Any], arrays: Arrays) -> Subject:
    method = factory(**own)
    value = arrays.weight.detach()
    return Subject(0, 0, compiled=False, forward=lambda: method(mx.nd, arrays.weight_name, value))


def _initialize(*_: Any) -> Subject:
    raise NotMeasured("it acts once, before the first step")


_BUILDERS = {
    "layer": _layer,
    "weight": _weight,
    "residual": _residual,
    "initialize": _initialize,
    "gradient": _gradient,
    "project": _project,
}
