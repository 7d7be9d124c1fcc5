"""A network ready to train: built, initialized by key, its norms in place."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Callable

from normlab.catalog.signature import accepted
from normlab.compat import mxnet
from normlab.models.sites import ChosenNorm, Sites
from normlab.models.weights import normalize_weights
from normlab.norm_block import Host
from normlab.norm_state import frozen_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from normlab.catalog.entries import Model

mx = mxnet()


class Network:
    """A block with its norms, on one or more devices.

    Args:
        block: The block, initialized.
        parameters: Its parameters by structural name.
        norms: The norms that act in it together.
        initialization_digest: SHA-256 of the initial values that all norms share.

    Attributes:
        block: The Gluon block, from `(N, *shape)` to `(N, classes)`.
        parameters: Its Gluon parameters by structural name (`dense0.weight`), which no norm changes.
        norms: The norms that act in it together.
        hosts: The blocks that host methods: `NormBlock`, `WeightBlock` and `ResidualBlock`.
        hybridizable: Whether every method in it can be traced.
        initialization_digest: SHA-256 of the initial values that all norms share.
    """

    def __init__(
        self, block: Any, parameters: Mapping[str, Any], norms: Sequence[ChosenNorm], initialization_digest: str
    ) -> None:
        self.block = block
        self.parameters = dict(sorted(parameters.items()))
        self.norms = tuple(norms)
        self.hosts = [child for child in walk(block) if isinstance(child, Host)]
        self.hybridizable = all(host.method.hybridizable for host in self.hosts)
        self.initialization_digest = initialization_digest

    def way(self, way: str) -> list[Any]:
        """The methods that act in this way (`gradient`, `project`, `initialize`), made."""
        factories = [(getattr(chosen.norm, way), chosen.parameters) for chosen in self.norms]
        return [factory(**accepted(factory, parameters)) for factory, parameters in factories if factory is not None]

    def states(self) -> list[Any]:
        """The parameters that hold running state."""
        return [
            host._reg_params[name]  # noqa: SLF001 - Gluon has no public name for a block's own parameters
            for host in self.hosts
            for name, declared in host.method.declared.items()
            if declared.state
        ]

    def average_states(self) -> None:
        """Make running state the same on all devices, their mean: each has seen its part of the batch only."""
        for state in self.states():
            copies = state.list_data()
            if len(copies) > 1:
                mean = mx.nd.add_n(*[copy.as_in_context(copies[0].context) for copy in copies]) / len(copies)
                for copy in copies:
                    mean.copyto(copy)

    def first_not_finite(self) -> str | None:
        """The structural name of the first parameter or state with a value that is not finite, or None.

        Activations can't tell: the fast relu turns NaN into 0.
        """
        arrays = [parameter.list_data()[0] for parameter in self.parameters.values()]
        if mx.nd.multi_all_finite(*arrays, num_arrays=len(arrays)).asscalar():
            return None
        return next(name for name, a in zip(self.parameters, arrays) if not mx.nd.multi_all_finite(a).asscalar())

    def digest(self) -> str:
        """SHA-256 of all parameters and states, of the first device."""
        mx.nd.waitall()
        return _digest(self.parameters)


def build(
    model: Model,
    parameters: Mapping[str, Any],
    norms: Sequence[ChosenNorm],
    shape: tuple[int, ...],
    classes: int,
    contexts: Sequence[Any],
    keyed: Callable[[str], AbstractContextManager[None]],
) -> Network:
    """Build a network, find its shapes, and draw its parameters, each by its own key.

    Args:
        model: The network's plugin.
        parameters: The plugin's parameters.
        norms: The norms that act in it together.
        shape: Shape of one example.
        classes: Number of outputs.
        contexts: MXNet contexts, each of which gets a copy.
        keyed: `with keyed(name)` keys the generators for the parameter of this structural name.
    """
    block = model.build(Sites(norms), shape, classes, **accepted(model.build, parameters))
    block.initialize(mx.init.Zero(), ctx=contexts[0])
    with mx.autograd.pause(), frozen_state():
        block(mx.nd.zeros((1, *shape), ctx=contexts[0]))
    named = dict(sorted(block._collect_params_with_prefix().items()))  # noqa: SLF001 - the structural names
    for name, parameter in named.items():
        _draw(name, parameter, contexts, keyed)
    of_hosts = {id(p) for child in walk(block) if isinstance(child, Host) for p in child.collect_params().values()}
    shared = _digest({name: parameter for name, parameter in named.items() if id(parameter) not in of_hosts})
    by_weight = [chosen for chosen in norms if chosen.norm.weight is not None]
    for layer, weighted in normalize_weights(block, by_weight):
        for inner, parameter in weighted.own_parameters().items():
            named[f"{layer}.{inner}"] = parameter
            _draw(f"{layer}.{inner}", parameter, contexts, keyed)
        weighted.start()
    return Network(block, named, norms, shared)


def _draw(
    name: str, parameter: Any, contexts: Sequence[Any], keyed: Callable[[str], AbstractContextManager[None]]
) -> None:
    with keyed(name):
        parameter.initialize(init=None, default_init=mx.init.Xavier(), ctx=list(contexts), force_reinit=True)


def walk(block: Any) -> Iterator[Any]:
    """A block and all blocks in it, in order."""
    yield block
    for child in block._children.values():  # noqa: SLF001 - Gluon has no public name for children
        yield from walk(child)


def _digest(parameters: Mapping[str, Any]) -> str:
    whole = sha256()
    for name, parameter in parameters.items():
        value = parameter.list_data()[0]
        whole.update(f"{name} {value.dtype.__name__} {value.shape}\n".encode())
        whole.update(value.asnumpy().tobytes())
    return whole.hexdigest()
