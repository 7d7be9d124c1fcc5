"""The mode of a pass, and the running state of norms inside MXNet's graphs.

MXNet decides between training and prediction when an operator runs; Python code in `hybrid_forward` runs once, when
the graph is traced. normlab builds its graphs itself, so it traces a network twice over one set of parameters, once
for training and once for prediction, and the mode is a plain Python value (`is_training()`) while tracing. Operators
always run in MXNet's training mode: batch statistics and gradients then mean the same in both graphs, and `backward()`
with its default is right for both.

A norm hands the new value of its state to `update()`. In a graph it becomes one more output, which the graph's caller
writes into the parameter after the forward pass; eagerly it is written at once. So state changes in the forward pass
of a training step, once, whatever is done with the gradients later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Union

from normlab.backend.mxnet import mxnet
from normlab.errors import PluginError

#: A number, or how it follows from the shape of an activation.
Fill = Union[float, Callable[[tuple[int, ...]], float]]
Size = Union[int, Callable[[tuple[int, ...]], int]]


class Constant(NamedTuple):
    """A vector that an operator wants as a variable of the graph.

    Attributes:
        fill: The value of each element.
        size: The number of elements, or of elements for each example of the batch.
        per_example: Whether `size` is to be multiplied by the number of examples.
        scratch: Whether the operator may write to it.
        like: The activation from whose shape fill or size follows; None where neither does.
    """

    fill: Fill
    size: Size
    per_example: bool
    scratch: bool
    like: Any = None

    def resolved(self, shape: tuple[int, ...]) -> tuple[float, int]:
        """The value of each element and their number, for an activation of this shape."""
        fill = self.fill(shape) if callable(self.fill) else self.fill
        size = self.size(shape) if callable(self.size) else self.size
        return fill, size * shape[0] if self.per_example else size


@dataclass
class Trace:
    """One pass over a network in a mode that is decided beforehand.

    Attributes:
        training: Whether it is a training pass.
        symbolic: Whether it records a graph instead of computing.
        frozen: Whether new states are dropped.
        batch_size: How many examples the batch has that a graph is recorded for.
        is_for_batch: Whether the graph serves such batches only, since `batch_size()` was asked for.
        updates: The parameters that hold state, with the symbols of their new values.
        constants: The variables that the graph's caller must supply, by name.
    """

    training: bool
    symbolic: bool = False
    frozen: bool = False
    batch_size: int = 0
    is_for_batch: bool = False
    updates: list[tuple[Any, Any]] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)


class _Current(threading.local):
    trace: Trace | None = None


_current = _Current()


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Run a pass under `trace`, and what it calls."""
    previous, _current.trace = _current.trace, trace
    try:
        yield trace
    finally:
        _current.trace = previous


def is_training() -> bool:
    """Whether this pass trains: as the running trace says, else as MXNet does."""
    if _current.trace is not None:
        return _current.trace.training
    return bool(mxnet().autograd.is_training())


@contextmanager
def frozen_state() -> Iterator[None]:
    """Drop the new states of passes inside, for instruments that only look."""
    with tracing(Trace(training=is_training(), frozen=True)):
        yield


def is_frozen() -> bool:
    """Whether new states are dropped."""
    return _current.trace is not None and _current.trace.frozen


def require_trace(F: Any) -> None:
    """Refuse a graph that is traced by somebody else, whose mode nobody can know.

    Raises:
        PluginError: A norm was reached by `hybridize()` of a block around it.
    """
    mx = mxnet()
    if F is mx.symbol and (_current.trace is None or not _current.trace.symbolic):
        raise PluginError(
            "hybridize() of the network around a norm of normlab would fix its mode; leave the network imperative, or "
            "compile it with normlab.Graph(lambda F, x: network(x), network.collect_params().values(), training=True)"
        )


def update(parameter: Any, value: Any) -> None:
    """Give a parameter that holds state its new value, as of the end of this forward pass.

    Args:
        parameter: The Gluon parameter, with `grad_req="null"`.
        value: Its new value, an array or a symbol of its shape.
    """
    if is_frozen():
        return
    trace = _current.trace
    if trace is not None and trace.symbolic:
        trace.updates.append((parameter, mxnet().symbol.BlockGrad(value)))
        return
    write_all([(parameter, value)])


def write_all(updates: Iterable[tuple[Any, Any]]) -> None:
    """Copy arrays into parameters on the arrays' device, outside of any recording.

    Args:
        updates: Gluon parameters, each with its new value.
    """
    with mxnet().autograd.pause():
        for parameter, value in updates:
            value.copyto(parameter.data(value.context))


def batch_size(F: Any, like: Any) -> int:
    """How many examples the batch has; a graph that asks serves such batches only, and others get one of their own.

    Args:
        F: `mx.nd` or `mx.sym`.
        like: Activations of the pass, `(N, ...)`.
    """
    if F is mxnet().ndarray:
        return int(like.shape[0])
    require_trace(F)
    trace = _current.trace
    assert trace is not None  # noqa: S101 - require_trace() has seen to it
    trace.is_for_batch = True
    return trace.batch_size


def constant(F: Any, like: Any, fill: Fill, size: Size = 1, *, per_example: bool = False, scratch: bool = False) -> Any:
    """A vector of one value, as operators that insist on variables need it.

    Args:
        F: `mx.nd` or `mx.sym`.
        like: An array or symbol of the pass; eagerly it gives examples (its first axis), device and type.
        fill: The value of each element; it may be a function of the shape of `like`, which costs a graph nothing.
        size: The number of elements, or a function of the shape of `like`; of each example, with `per_example`.
        per_example: Whether the vector has `size` elements for each example of the batch.
        scratch: Whether the operator writes to it.

    Returns:
        An array or a symbol of shape `(size,)` or `(N * size,)`.
    """
    mx = mxnet()
    if F is mx.ndarray:
        value, length = Constant(fill, size, per_example, scratch).resolved(like.shape)
        return mx.nd.full((length,), value, ctx=like.context, dtype=like.dtype)
    require_trace(F)
    trace = _current.trace
    assert trace is not None  # noqa: S101 - require_trace() has seen to it
    by_shape = callable(fill) or callable(size)
    wanted = Constant(fill, size, per_example, scratch, like if by_shape else None)
    described = "by_shape" if by_shape else f"{fill}{'n' * per_example}_{size}".replace(".", "p").replace("-", "m")
    name = f"normlab_{'scratch' if scratch else 'constant'}_{described}"
    if scratch or by_shape:  # each operator writes to its own, each shape tells its own
        name = f"{name}_{len(trace.constants)}"
    trace.constants[name] = wanted
    return mx.symbol.var(name)
