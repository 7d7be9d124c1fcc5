"""A network ready to train: built, initialized by key, its norms in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import frozen_state
from normlab.catalog.signature import accepted
from normlab.errors import SpecError
from normlab.models.layers import noting_dropout
from normlab.models.sites import Sites
from normlab.models.tree import own_parameters, walk
from normlab.models.weights import normalize_weights
from normlab.norms.blocks import Host

if TYPE_CHECKING:
    from normlab.spec import Part

mx = mxnet()


class Network:
    """A block with its norms, on one or more devices.

    Args:
        block: The block, initialized.
        parameters: Its parameters by structural name.
        norms: The norms that act in it together.
        initialization_digest: SHA-256 of the initial values that all norms share.
        dropout: Its masks in the order of a pass.
        sites: What was noted when it was built.

    Attributes:
        block: The Gluon block, from `(N, *shape)` to `(N, classes)`.
        parameters: Its Gluon parameters by structural name (`dense0.weight`), which no norm changes.
        norms: The norms that act in it together.
        hosts: The blocks that host methods: `NormBlock`, `WeightBlock` and `ResidualBlock`.
        hybridizable: Whether every method in it can be traced.
        initialization_digest: SHA-256 of the initial values that all norms share.
        optional_biases: Structural names of the biases that exist only because no norm brings a shift there.
        dropout: Its masks in the order of a pass, each by rate, axes and shape; and which methods draw between them.
        draws: Whether a pass in training draws random numbers, as dropout does.
        notes: What the person should know about it, a sentence each.
    """

    def __init__(
        self,
        block: Any,
        parameters: Mapping[str, Any],
        norms: Sequence[Part],
        initialization_digest: str,
        dropout: Sequence[str],
        sites: Sites,
    ) -> None:
        self.block = block
        self.parameters = dict(sorted(parameters.items()))
        self.norms = tuple(norms)
        self.hosts = [child for child in walk(block) if isinstance(child, Host)]
        self.hybridizable = all(host.method.hybridizable for host in self.hosts)
        self.initialization_digest = initialization_digest
        optional = {id(bias) for bias in sites.optional_biases}
        self.optional_biases = tuple(name for name, p in self.parameters.items() if id(p) in optional)
        # a method that draws says `random = True`
        methods = [type(host.method).__name__ for host in self.hosts if getattr(host.method, "random", False)]
        self.draws = bool(methods or dropout)
        self.dropout = (*dropout, *methods) if dropout else ()
        self.notes = list(sites.notes)

    def way(self, way: str) -> list[Any]:
        """The methods that act in this way (`gradient`, `project`, `initialize`), made."""
        acting = [(getattr(part.entry, way), part) for part in self.norms]
        return [method(**accepted(method, part.parameters)) for method, part in acting if method is not None]

    def states(self) -> list[Any]:
        """The parameters that hold running state."""
        return [
            own_parameters(host)[name]
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
        return not_finite((name, parameter.list_data()[0]) for name, parameter in self.parameters.items())

    def digest(self) -> str:
        """SHA-256 of all parameters and states, of the first device."""
        mx.nd.waitall()
        return _digest(self.parameters)


def not_finite(arrays: Iterable[tuple[str, Any]]) -> str | None:
    """The name of the first of these arrays with a value that is not finite, or None.

    By NumPy: MXNet's `multi_all_finite` takes 90 ns for each number on a processor, about thirty times as long.
    """
    return next((name for name, array in arrays if not np.isfinite(array.asnumpy()).all()), None)


def build(
    model: Part,
    norms: Sequence[Part],
    shape: tuple[int, ...],
    classes: int,
    contexts: Sequence[Any],
    keyed: Callable[[str], AbstractContextManager[None]],
) -> Network:
    """Build a network, find its shapes, and draw its parameters, each by its own key.

    Args:
        model: The network.
        norms: The norms that act in it together.
        shape: Shape of one example.
        classes: Number of outputs.
        contexts: MXNet contexts, each of which gets a copy.
        keyed: `with keyed(name)` keys the generators for the parameter of this structural name.

    Raises:
        SpecError: The network can't be built so, or has no place for what a norm does.
    """
    sites = Sites(norms)
    make = model.entry.build
    block = make(sites, shape, classes, **accepted(make, model.parameters))
    _check_joins(model, sites)
    # a network that found its shapes by a pass of its own is initialized already
    block.initialize(mx.init.Zero(), ctx=contexts[0], force_reinit=True)
    with mx.autograd.pause(), frozen_state(), noting_dropout(block) as dropout:
        block(mx.nd.zeros((1, *shape), ctx=contexts[0]))
    named = _named_parameters(block)
    for name, parameter in named.items():
        _draw(name, parameter, contexts, keyed)
    shared = _shared(block, named, sites)
    by_weight = [part for part in norms if part.entry.weight is not None]
    for layer, weighted in normalize_weights(block, by_weight):
        for inner, parameter in weighted.method_parameters().items():
            named[f"{layer}.{inner}"] = parameter
            _draw(f"{layer}.{inner}", parameter, contexts, keyed)
        weighted.start()
    return Network(block, named, norms, _digest(shared), dropout, sites)


def _check_joins(model: Part, sites: Sites) -> None:
    if sites.residuals and not sites.joins:
        raise SpecError(
            f"{model.name}: norm {sites.residuals[0].name} acts where a branch meets its shortcut, "
            "and this network has no such place open to it; choose model resnet"
        )


def _named_parameters(block: Any) -> dict[str, Any]:
    """All parameters, each once, by the first of its structural names."""
    named = sorted(block._collect_params_with_prefix().items())  # noqa: SLF001 - the only way to structural names
    first: dict[int, tuple[str, Any]] = {}
    for name, parameter in named:
        first.setdefault(id(parameter), (name, parameter))
    return dict(first.values())


def _shared(block: Any, named: Mapping[str, Any], sites: Sites) -> dict[str, Any]:
    """The parameters that the network has whatever the norm."""
    hosts = [child for child in walk(block) if isinstance(child, Host)]
    others = [*sites.optional_biases, *(p for host in hosts for p in own_parameters(host).values())]
    left_out = {id(parameter) for parameter in others}
    return {name: parameter for name, parameter in named.items() if id(parameter) not in left_out}


def _draw(
    name: str, parameter: Any, contexts: Sequence[Any], keyed: Callable[[str], AbstractContextManager[None]]
) -> None:
    with keyed(name):
        parameter.initialize(init=None, default_init=mx.init.Xavier(), ctx=list(contexts), force_reinit=True)


def _digest(parameters: Mapping[str, Any]) -> str:
    whole = sha256()
    for name, parameter in parameters.items():
        value = parameter.list_data()[0]
        whole.update(f"{name} {value.dtype.__name__} {value.shape}\n".encode())
        whole.update(value.asnumpy().tobytes())
    return whole.hexdigest()
