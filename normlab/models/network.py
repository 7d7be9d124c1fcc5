"""Build a network with its norms and initialize it, each parameter by its own key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import Trace, tracing
from normlab.catalog.signature import accepted
from normlab.errors import SpecError
from normlab.models.layers import record_dropout
from normlab.models.sites import Sites
from normlab.models.tree import own_parameters, walk
from normlab.models.weights import normalize_weights
from normlab.norms.blocks import Host

if TYPE_CHECKING:
    from normlab.spec import Part

mx = mxnet()


class Network:
    """A network with its norms, on one or more devices.

    Args:
        block: The Gluon block, initialized.
        parameters: Its parameters by structural name.
        norms: The norms that are combined in it.
        initialization_digest: SHA-256 of the initial values that don't depend on the norm.
        dropout: The dropout masks of a forward pass, in order.
        sites: The sites from which it was built.

    Attributes:
        block: The Gluon block, from `(N, *shape)` to `(N, classes)`.
        parameters: Its Gluon parameters by structural name (`dense0.weight`), which doesn't depend on the norm.
        norms: The norms that are combined in it.
        hosts: The blocks that host methods: `NormBlock`, `WeightBlock` and `ResidualBlock`.
        hybridizable: Whether every method in it can be traced.
        initialization_digest: SHA-256 of the initial values that don't depend on the norm.
        optional_biases: Structural names of the biases that exist only because no norm has a shift there.
        dropout: The dropout masks of a forward pass, each by rate, axes and shape, and the methods that draw.
        draws: Whether a forward pass in training draws random numbers, as dropout does.
        notes: Notes for the user, a sentence each.
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
        # methods that draw random numbers have `random = True`
        methods = [type(host.method).__name__ for host in self.hosts if getattr(host.method, "random", False)]
        self.draws = bool(methods or dropout)
        self.dropout = (*dropout, *methods) if dropout else ()
        self.notes = list(sites.notes)

    def build_methods(self, way: str) -> list[Any]:
        """Build the methods that act in this way: `gradient`, `project` or `initialize`."""
        methods = [(getattr(part.entry, way), part) for part in self.norms]
        return [method(**accepted(method, part.parameters)) for method, part in methods if method is not None]

    def states(self) -> list[Any]:
        """Return the parameters that hold running state."""
        return [
            own_parameters(host)[name]
            for host in self.hosts
            for name, declared in host.method.declared.items()
            if declared.state
        ]

    def average_states(self) -> None:
        """Replace running state on all devices by its mean, since each device has seen only its part of the batch."""
        for state in self.states():
            copies = state.list_data()
            if len(copies) > 1:
                mean = mx.nd.add_n(*[copy.as_in_context(copies[0].context) for copy in copies]) / len(copies)
                for copy in copies:
                    mean.copyto(copy)

    def first_not_finite(self) -> str | None:
        """Return the structural name of the first parameter or state with a non-finite value, or None.

        Activations don't reveal it: the fast relu turns NaN into 0.
        """
        return find_not_finite((name, parameter.list_data()[0]) for name, parameter in self.parameters.items())

    def digest(self) -> str:
        """Return the SHA-256 of all parameters and states on the first device."""
        mx.nd.waitall()
        return _digest(self.parameters)


def find_not_finite(arrays: Iterable[tuple[str, Any]]) -> str | None:
    """Return the name of the first of these arrays with a non-finite value, or None.

    Uses NumPy, which is about thirty times as fast on a CPU as MXNet's `multi_all_finite` (90 ns per number).
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
    """Build a network, infer its shapes, and draw its parameters, each by its own key.

    Args:
        model: The model.
        norms: The norms to combine in it.
        shape: Shape of one example.
        classes: Number of outputs.
        contexts: MXNet contexts, each of which gets a copy.
        keyed: `with keyed(name)` keys the generators for the parameter of this structural name.

    Raises:
        SpecError: The network can't be built with these parameters, or has no place for one of the norms.
    """
    sites = Sites(norms)
    make = model.entry.build
    block = make(sites, shape, classes, **accepted(make, model.parameters))
    _check_joins(model, sites)
    # a network that needed a forward pass to infer its shapes is initialized already
    block.initialize(mx.init.Zero(), ctx=contexts[0], force_reinit=True)
    # outside training mode, operators reorder weights in place, which in ShuffleNet v1 corrupts memory
    with (
        mx.autograd.pause(train_mode=True),
        tracing(Trace(training=False, frozen=True)),
        record_dropout(block) as dropout,
    ):
        block(mx.nd.zeros((1, *shape), ctx=contexts[0]))
    named = _named_parameters(block)
    for name, parameter in named.items():
        _draw(name, parameter, contexts, keyed)
    shared = _shared_parameters(block, named, sites)
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
            f"{model.name}: norm {sites.residuals[0].name} replaces the sum of a branch and its shortcut, "
            "and this network has none that can be replaced; choose model resnet"
        )


def _named_parameters(block: Any) -> dict[str, Any]:
    """Return all parameters, each once, by the first of its structural names."""
    named = sorted(block._collect_params_with_prefix().items())  # noqa: SLF001 - the only way to structural names
    first: dict[int, tuple[str, Any]] = {}
    for name, parameter in named:
        first.setdefault(id(parameter), (name, parameter))
    return dict(first.values())


def _shared_parameters(block: Any, named: Mapping[str, Any], sites: Sites) -> dict[str, Any]:
    """Return the parameters that the network has with every norm."""
    hosts = [child for child in walk(block) if isinstance(child, Host)]
    of_norms = [*sites.optional_biases, *(p for host in hosts for p in own_parameters(host).values())]
    excluded = {id(parameter) for parameter in of_norms}
    return {name: parameter for name, parameter in named.items() if id(parameter) not in excluded}


def _draw(
    name: str, parameter: Any, contexts: Sequence[Any], keyed: Callable[[str], AbstractContextManager[None]]
) -> None:
    with keyed(name):
        parameter.initialize(init=None, default_init=mx.init.Xavier(), ctx=list(contexts), force_reinit=True)


def _digest(parameters: Mapping[str, Any]) -> str:
    digest = sha256()
    for name, parameter in parameters.items():
        value = parameter.list_data()[0]
        digest.update(f"{name} {value.dtype.__name__} {value.shape}\n".encode())
        digest.update(value.asnumpy().tobytes())
    return digest.hexdigest()
