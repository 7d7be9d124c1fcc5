"""A small block with one method in it, run on NumPy arrays, with control over all its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import frozen_state
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import Place, channels, made
from normlab.models.tree import own_parameters
from normlab.norms.blocks import NormBlock, ResidualBlock, WeightBlock
from normlab.norms.contract import Norm
from normlab.training.randomness import generator, keyed

if TYPE_CHECKING:
    from normlab.conformance.numerics import Array


nn = mxnet().gluon.nn

_DISTANCE = 0.01


def _layer_before(channels: int, layout: str) -> Any:
    """The layer, from as many channels to as many."""
    if layout == "NCHW":
        return nn.Conv2D(channels, 1, in_channels=channels)
    return nn.Dense(channels, in_units=channels, flatten=layout == "NC")


def _weight_before(channels: int, layout: str, states: Iterable[Array]) -> Array:
    """The layer's weight at a time of the training, which the states tell: other states, another weight.

    Args:
        channels: Number of channels.
        layout: The layout of the site.
        states: The method's states. What moves them by rounding moves the weight by rounding.
    """
    means = [float(np.mean(state, dtype="float64")) for state in states]
    time = sum(mean / (1 + abs(mean)) for mean in means)
    random = generator(0, "conformance", "layer before")
    found: Array = np.eye(channels) + _DISTANCE * time * random.standard_normal((channels, channels))
    return found.reshape((channels, channels, 1, 1)) if layout == "NCHW" else found


mx = mxnet()

#: Ways to run a block: compiled, operator by operator as a run without hybridization, and called as Gluon users do.
GRAPH, EAGER, PLAIN = "graph", "eager", "plain"

#: The modes of a pass, with whether each trains.
MODES = {"training": True, "prediction": False}

#: Height and width, or one number of time steps; they differ, so that an exchange of axes shows.
_POSITIONS = {"NC": (), "NCHW": (3, 5), "NTC": (5,)}
_BATCH = 6
_BLOCKS = {"layer": NormBlock, "weight": WeightBlock, "residual": ResidualBlock}


class Pass(NamedTuple):
    """What a pass gave.

    Attributes:
        output: The block's output.
        input_gradients: The gradient of each input; empty without a backward pass.
        gradients: The gradient of each trainable parameter, by name; likewise.
    """

    output: Array
    input_gradients: list[Array]
    gradients: dict[str, Array]


def usual_activation(norm: Norm) -> str:
    """The activation of a site at which a method shows all that it does."""
    is_active = norm.layer is not None and (norm.layer.replaces_activation or norm.layer.needs_activation)
    return "relu" if is_active else "identity"


class Specimen:
    """A method in one place.

    Args:
        norm: The method, which gets its default parameters.
        place: Where it stands.
        dtype: Type of parameters and activations.
        devices: On how many devices it is, of which all are the CPU.
        **site: What the site tells besides layout and channels.

    Attributes:
        channels: Number of channels.
        method: The method.
        block: The block around it.
        layer_before: The layer before it, if the method looks at it.
        batch: Examples of an ordinary batch.
    """

    def __init__(self, norm: Norm, place: Place, *, dtype: str = "float32", devices: int = 1, **site: Any) -> None:
        self.norm = norm
        self.place = place
        self.dtype = dtype
        self.channels = channels(norm, place)
        self._site = {"out_channels" if place.way == "weight" else "in_channels": self.channels, **site}
        if place.way == "layer":
            self._site.setdefault("activation", usual_activation(norm))
        self.method = made(norm, place, **self._site)
        self.batch = max(_BATCH, 2 * self.method.minimum_batch)
        looks_back = getattr(self.method, "needs_layer_before", False)
        self.layer_before = _layer_before(self.channels, place.layout) if looks_back else None
        beside = {"weight": (self._shape(self.batch, None),), "layer": (self.layer_before,)}
        self.block = _BLOCKS[place.way](self.method, *beside.get(place.way, ()))
        self._contexts = [mx.cpu(index) for index in range(devices)]
        self._parameters = list(self.block.collect_params().values())
        self._graphs: dict[tuple[Any, ...], Any] = {}
        with keyed(0, "conformance"):
            self.block.initialize(ctx=self._contexts)
        if dtype != "float32":
            self.block.cast(dtype)
        if place.way == "weight":
            told = self.method.start(self.inputs()[0].astype("float32"))
            self.assign({name: value for name, value in told.items() if name in self.method.declared})

    def twin(self, **changes: Any) -> Specimen:
        """Another one, made anew, with the same values."""
        other = Specimen(self.norm, self.place, **{"dtype": self.dtype, **changes})
        other.assign(self.values())
        return other

    def inputs(
        self, which: str = "", *, batch: int | None = None, positions: tuple[int, ...] | None = None
    ) -> list[Array]:
        """Ordinary inputs, float64: one array, or two where a branch meets a shortcut.

        Args:
            which: Inputs of another word are other inputs.
            batch: Number of examples.
            positions: Numbers of positions along the axes that the layout has for them.
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
        """Numbers of positions along the axes that the layout has for them."""
        return () if self.place.way == "weight" else _POSITIONS[self.place.layout]

    @property
    def trainable(self) -> list[str]:
        """Names of the parameters that the optimizer changes."""
        return [name for name, declared in self.method.declared.items() if declared.trainable]

    @property
    def states(self) -> list[str]:
        """Names of the running states."""
        return [name for name, declared in self.method.declared.items() if declared.state]

    def parameter(self, name: str) -> Any:
        """The Gluon parameter that stands for what the method declared."""
        return own_parameters(self.block)[name]

    def values(self, device: int = 0) -> dict[str, Array]:
        """All parameters and states by name."""
        context = self._contexts[device]
        return {name: self.parameter(name).data(context).asnumpy() for name in self.method.declared}

    def assign(self, values: Mapping[str, Any]) -> None:
        """Give parameters and states other values, on all devices."""
        for name, value in values.items():
            parameter = self.parameter(name)
            parameter.set_data(mx.nd.array(value, dtype=parameter.dtype))

    def stir(self) -> None:
        """Move parameters a little from where they start, and states by two steps of training."""
        random = generator(0, "conformance", "stir")
        for name in self.trainable:
            value = self.values()[name].astype("float64")
            amounts = random.uniform(-1, 1, value.shape)
            self.assign({name: value * (1 + 0.2 * amounts) + 0.1 * np.where(value == 0, amounts, np.abs(amounts))})
        for step in range(2):
            self.run(self.inputs(f"stir {step}"), training=True, frozen=False)

    def arrays(self, inputs: Sequence[Array], device: int = 0) -> list[Any]:
        """Inputs as MXNet's arrays, which collect gradients."""
        made_of = [mx.nd.array(value, ctx=self._contexts[device], dtype=self.dtype) for value in inputs]
        for array in made_of:
            array.attach_grad()
        return made_of

    def with_layer_before(self, arrays: Sequence[Any]) -> list[Any]:
        """The arrays that the block gets: also the layer before's input and weight, if the method looks at it."""
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
        """One pass.

        Args:
            inputs: What goes in.
            training: Whether it trains.
            how: `graph`, `eager` or `plain`; a method that can't be compiled is run eagerly instead.
            frozen: Whether new states are dropped.
            cotangent: Gradient of the output, for a backward pass; without one there is none.
            backwards: How often the backward pass is run.
            device: On which device.
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
        """One pass on MXNet's arrays; see `run`."""
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
            self._graphs[key] = self._compiled(training=training, hybridize=compiled, freeze_state=frozen)
        return self._graphs[key]

    def _compiled(self, **options: Any) -> Graph:
        return Graph(lambda _, *inputs: self.block(*inputs), self._parameters, **options)

    def exercise(self) -> None:
        """Make the method anew, and run the block in all ways, compiled anew."""
        made(self.norm, self.place, **self._site)
        self._graphs.clear()
        inputs = self.inputs()
        for training in MODES.values():
            for how in (GRAPH, EAGER):
                self.run(inputs, training=training, how=how, cotangent=np.ones_like(inputs[0]))

    def compiles(self) -> bool:
        """Whether the block can be compiled, whatever the method says."""
        arrays = self.with_layer_before(self.arrays(self.inputs()))
        try:
            self._compiled(training=True, freeze_state=True)(*arrays)
        except Exception:  # noqa: BLE001 - what can't be traced raises whatever its code raises on symbols
            return False
        return True

    def is_double(self, *, training: bool) -> bool:
        """Whether a float64 specimen really computes in float64: it runs, and its rounding noise is that small.

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
