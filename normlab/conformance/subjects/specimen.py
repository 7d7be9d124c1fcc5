"""A small block with one method in it, run on NumPy arrays, with control over all its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import frozen_state
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import Place, build_at, find_channels
from normlab.conformance.subjects.side_effects import SideEffects, observe
from normlab.models.tree import own_parameters
from normlab.norms.blocks import NormBlock, ResidualBlock, WeightBlock
from normlab.norms.contract import Norm
from normlab.training.randomness import generator, keyed

mx = mxnet()
nn = mx.gluon.nn

#: Ways to run a block: compiled, operator by operator through a `Graph`, and called directly as in plain Gluon.
GRAPH, EAGER, PLAIN = "graph", "eager", "plain"

#: The modes of a pass, and whether each is training.
MODES = {"training": True, "inference": False}

#: Height and width, or the number of time steps. They differ from each other, so that swapped axes are noticed.
_POSITIONS = {"NC": (), "NCHW": (3, 5), "NTC": (5,)}
_BATCH = 6
_BLOCKS = {"layer": NormBlock, "weight": WeightBlock, "residual": ResidualBlock}
#: How far the weight of the layer before the site is from the identity.
_DISTANCE = 0.01


class Pass(NamedTuple):
    """The results of a pass.

    Attributes:
        output: The block's output.
        input_gradients: The gradient of each input; empty without a backward pass.
        gradients: The gradient of each trainable parameter by name; empty without a backward pass.
    """

    output: Array
    input_gradients: list[Array]
    gradients: dict[str, Array]


def usual_activation(norm: Norm) -> str:
    """Return the activation of a site at which a method shows all that it does."""
    is_active = norm.layer is not None and (norm.layer.replaces_activation or norm.layer.needs_activation)
    return "relu" if is_active else "identity"


class Specimen:
    """A method at one place.

    Args:
        norm: The method, built with its default parameters.
        place: The place.
        dtype: Type of parameters and activations.
        devices: The number of devices, all of them CPUs.
        **site: Arguments of the site other than layout and channels.

    Attributes:
        channels: Number of channels.
        method: The method.
        block: The block around it.
        layer_before: The layer before the site, if the method looks at it. It does not run: the specimen's input also
            serves as the input of that layer, whose weight is near the identity.
        batch: Number of examples of an ordinary batch.
    """

    def __init__(self, norm: Norm, place: Place, *, dtype: str = "float32", devices: int = 1, **site: Any) -> None:
        self.norm = norm
        self.place = place
        self.dtype = dtype
        self.channels = find_channels(norm, place)
        self._site = {"out_channels" if place.way == "weight" else "in_channels": self.channels, **site}
        if place.way == "layer":
            self._site.setdefault("activation", usual_activation(norm))
        self.method = build_at(norm, place, **self._site)
        self.batch = max(_BATCH, 2 * self.method.minimum_batch)
        looks_back = getattr(self.method, "needs_layer_before", False)
        self.layer_before = _build_layer_before(self.channels, place.layout) if looks_back else None
        further = {"weight": (self._shape(self.batch, None),), "layer": (self.layer_before,)}
        self.block = _BLOCKS[place.way](self.method, *further.get(place.way, ()))
        self._contexts = [mx.cpu(index) for index in range(devices)]
        self._parameters = list(self.block.collect_params().values())
        self._graphs: dict[tuple[Any, ...], Any] = {}
        with keyed(0, "conformance"):
            self.block.initialize(ctx=self._contexts)
        if dtype != "float32":
            self.block.cast(dtype)
        if place.way == "weight":
            start = self.method.start(self.inputs()[0].astype("float32"))
            self.assign({name: value for name, value in start.items() if name in self.method.declared})

    def copy(self, **changes: Any) -> Specimen:
        """Build the block again, with the present values of this one.

        Args:
            **changes: Arguments of the constructor that are to differ.
        """
        other = Specimen(self.norm, self.place, **{"dtype": self.dtype, **changes})
        other.assign(self.values())
        return other

    def in_float64(self) -> Specimen:
        """Return a float64 copy with the present values; every call returns the same object."""
        self._double.assign(self.values())
        return self._double

    @cached_property
    def _double(self) -> Specimen:
        return self.copy(dtype="float64")

    def inputs(
        self, which: str = "", *, batch: int | None = None, positions: tuple[int, ...] | None = None
    ) -> list[Array]:
        """Return ordinary inputs in float64: one array, or two where a branch meets a shortcut.

        Args:
            which: A label; different labels give different inputs.
            batch: Number of examples.
            positions: Sizes of the axes of positions of the layout.
        """
        shape = self._shape(batch or self.batch, positions)
        count = 2 if self.place.way == "residual" else 1
        random = generator(0, "conformance", "inputs", which)
        return [0.5 + 1.5 * random.standard_normal(shape) for _ in range(count)]

    def _shape(self, batch: int, positions: tuple[int, ...] | None) -> tuple[int, ...]:
        layout = self.place.layout
        if self.place.way == "weight":
            return (self.channels, 12) if layout == "dense" else (self.channels, 4, 3, 3)
        inner = _POSITIONS[layout] if positions is None else positions
        return (batch, *inner, self.channels) if layout == "NTC" else (batch, self.channels, *inner)

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the axes of positions of the layout."""
        return () if self.place.way == "weight" else _POSITIONS[self.place.layout]

    @property
    def ways_to_run(self) -> tuple[str, ...]:
        """Compiled and eager; only eager for a method that cannot be compiled, since both would be the same."""
        return (GRAPH, EAGER) if self.method.hybridizable else (EAGER,)

    @property
    def trainable(self) -> list[str]:
        """Names of the parameters that the optimizer changes."""
        return [name for name, declared in self.method.declared.items() if declared.trainable]

    @property
    def states(self) -> list[str]:
        """Names of the running states."""
        return [name for name, declared in self.method.declared.items() if declared.state]

    def parameter(self, name: str) -> Any:
        """Return the Gluon parameter for a declared parameter or state."""
        return own_parameters(self.block)[name]

    def values(self, device: int = 0) -> dict[str, Array]:
        """Return the values of all parameters and states by name."""
        context = self._contexts[device]
        return {name: self.parameter(name).data(context).asnumpy() for name in self.method.declared}

    def assign(self, values: Mapping[str, Any]) -> None:
        """Set parameters and states to these values, on all devices."""
        for name, value in values.items():
            parameter = self.parameter(name)
            parameter.set_data(mx.nd.array(value, dtype=parameter.dtype))

    def perturb(self) -> None:
        """Change parameters a little from their initial values, and states by two steps of training."""
        random = generator(0, "conformance", "stir")
        for name in self.trainable:
            value = self.values()[name].astype("float64")
            amounts = random.uniform(-1, 1, value.shape)
            self.assign({name: value * (1 + 0.2 * amounts) + 0.1 * np.where(value == 0, amounts, np.abs(amounts))})
        for step in range(2):
            self.run(self.inputs(f"stir {step}"), training=True, frozen=False)

    def arrays(self, inputs: Sequence[Array], device: int = 0) -> list[Any]:
        """Return inputs as arrays of MXNet, with gradients attached."""
        arrays = [mx.nd.array(value, ctx=self._contexts[device], dtype=self.dtype) for value in inputs]
        for array in arrays:
            array.attach_grad()
        return arrays

    def with_layer_before(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the arguments of the block: the arrays, and the input and weight of the layer before if it is used."""
        if self.layer_before is None:
            return list(arrays)
        (x,) = arrays
        states = [self.parameter(name).data(x.context).asnumpy() for name in self.states]
        weight = _weight_before(self.channels, self.place.layout, states)
        return [x, x.detach(), mx.nd.array(weight, ctx=x.context, dtype=x.dtype)]

    def run(
        self,
        inputs: Sequence[Array],
        *,
        training: bool,
        how: str = GRAPH,
        frozen: bool = True,
        cotangent: Array | None = None,
        backwards: int = 1,
        device: int = 0,
    ) -> Pass:
        """Run one pass.

        Args:
            inputs: The inputs.
            training: Whether it is a training pass.
            how: `graph`, `eager` or `plain`; a method that cannot be compiled runs eagerly instead of as a graph.
            frozen: Whether new states are discarded.
            cotangent: Gradient of the output; without it there is no backward pass.
            backwards: How often the backward pass is run.
            device: Index of the device.
        """
        arrays = self.arrays(inputs, device)
        for name in self.trainable:
            self.parameter(name).zero_grad()
        output = self.call(arrays, training=training, how=how, frozen=frozen, record=cotangent is not None)
        if cotangent is None:
            return Pass(output.asnumpy(), [], {})
        head = mx.nd.array(cotangent, ctx=output.context, dtype=output.dtype)
        for count in range(backwards, 0, -1):
            mx.autograd.backward([output], [head], retain_graph=count > 1)
        gradients = {name: self.parameter(name).grad(output.context).asnumpy() for name in self.trainable}
        return Pass(output.asnumpy(), [array.grad.asnumpy() for array in arrays], gradients)

    def call(self, arrays: Sequence[Any], *, training: bool, how: str, frozen: bool, record: bool) -> Any:
        """Run one forward pass on arrays of MXNet; see `run`."""
        autograd = mx.autograd
        arrays = self.with_layer_before(arrays)
        plain_mode = autograd.train_mode() if training else autograd.predict_mode()
        with autograd.record(train_mode=training) if record else plain_mode:
            if how == PLAIN:
                with frozen_state() if frozen else nullcontext():
                    return self.block(*arrays)
            return self._graph(training=training, how=how, frozen=frozen)(*arrays)[0]

    def _graph(self, *, training: bool, how: str, frozen: bool) -> Any:
        compiled = how == GRAPH and self.method.hybridizable
        key = (training, compiled, frozen)
        if key not in self._graphs:
            self._graphs[key] = self._new_graph(training=training, hybridize=compiled, freeze_state=frozen)
        return self._graphs[key]

    def _new_graph(self, **options: Any) -> Graph:
        # compiled graphs hold memory: a function of `self` would keep them until the garbage collector runs
        block = self.block
        return Graph(lambda _, *inputs: block(*inputs), self._parameters, **options)

    @cached_property
    def side_effects(self) -> SideEffects:
        """The side effects of building the method and running the block in all ways, compiled again."""
        return observe(self._run_all)

    def _run_all(self) -> None:
        build_at(self.norm, self.place, **self._site)
        kept, self._graphs = self._graphs, {}
        inputs = self.inputs()
        for training in MODES.values():
            for how in self.ways_to_run:
                self.run(inputs, training=training, how=how, cotangent=np.ones_like(inputs[0]))
        self._graphs.update(kept)

    def compiles(self) -> bool:
        """Return whether the block can be compiled, whatever the method declares."""
        arrays = self.with_layer_before(self.arrays(self.inputs()))
        try:
            self._new_graph(training=True, freeze_state=True)(*arrays)
        except Exception:  # noqa: BLE001 - code that cannot be traced may raise anything
            return False
        return True

    def is_double(self, *, training: bool) -> bool:
        """Return whether a float64 specimen runs and computes in float64 throughout, judged by its rounding noise.

        The third difference of a smooth function over tiny steps is rounding noise alone (More and Wild, "Estimating
        computational noise", SIAM J. Sci. Comput. 2011).
        """
        inputs = self.inputs()
        towards = self.inputs("towards")
        try:
            ys = [
                self.run([x + 1e-6 * step * d for x, d in zip(inputs, towards)], training=training).output
                for step in range(4)
            ]
            self.run(inputs, training=training, cotangent=np.ones_like(ys[0]))
        except mx.base.MXNetError:
            return False
        noise = np.abs(ys[3] - 3 * ys[2] + 3 * ys[1] - ys[0]).max()
        return ys[0].dtype == np.float64 and bool(noise < 1e-9 * max(1.0, np.abs(ys[0]).max()))


def _build_layer_before(channels: int, layout: str) -> Any:
    """Build a layer with as many outputs as inputs."""
    if layout == "NCHW":
        return nn.Conv2D(channels, 1, in_channels=channels)
    return nn.Dense(channels, in_units=channels, flatten=layout == "NC")


def _weight_before(channels: int, layout: str, states: Iterable[Array]) -> Array:
    """Return the layer's weight at a time of the training that the method's states stand for.

    Args:
        channels: Number of channels.
        layout: The layout of the site.
        states: The method's states. If they change by rounding, the weight changes by rounding.
    """
    means = [float(np.mean(state, dtype="float64")) for state in states]
    time = sum(mean / (1 + abs(mean)) for mean in means)
    random = generator(0, "conformance", "layer before")
    found: Array = np.eye(channels) + _DISTANCE * time * random.standard_normal((channels, channels))
    return found.reshape((channels, channels, 1, 1)) if layout == "NCHW" else found
