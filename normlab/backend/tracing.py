"""The mode of a pass, and the running state of norms in MXNet's graphs.

MXNet chooses between training and evaluation when an operator runs, but Python code in `hybrid_forward` runs only once,
when the graph is traced. normlab therefore traces a network twice over one set of parameters, once for each mode, and
the mode is a plain Python value (`is_training()`) during tracing. Operators always run in MXNet's training mode, so
that batch statistics and gradients mean the same in both graphs, and the default of `backward()` is right for both.

A norm passes the new value of its state to `update()`. In a graph, the value becomes a further output, which the
graph's caller writes into the parameter after the forward pass; imperatively, it is written at once. State therefore
changes once, in the forward pass of a training step, regardless of what is done with the gradients later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Union

from normlab.backend.mxnet import mxnet
from normlab.errors import PluginError

#: A number, or a function from the shape of an activation to a number.
Fill = Union[float, Callable[[tuple[int, ...]], float]]
Size = Union[int, Callable[[tuple[int, ...]], int]]


class Constant(NamedTuple):
    """A vector of equal elements that an operator requires as a variable of the graph.

    Attributes:
        fill: The value of each element.
        size: The number of elements, for each example of the batch if `per_example`.
        per_example: Whether `size` is multiplied by the number of examples.
        scratch: Whether the operator may write to it.
        like: The activation whose shape fill or size is a function of, or None.
    """

    fill: Fill
    size: Size
    per_example: bool
    scratch: bool
    like: Any = None

    def resolve(self, shape: tuple[int, ...]) -> tuple[float, int]:
        """Return the value and the number of the elements, for an activation of this shape."""
        fill = self.fill(shape) if callable(self.fill) else self.fill
        size = self.size(shape) if callable(self.size) else self.size
        return fill, size * shape[0] if self.per_example else size


@dataclass
class Trace:
    """One pass over a network, in a mode that is known beforehand.

    Attributes:
        training: Whether it is a training pass.
        symbolic: Whether it records a graph instead of computing.
        frozen: Whether new states are dropped.
        batch_size: Number of examples of the batch that a graph is recorded for.
        is_for_batch_size: Whether the graph is valid for that batch size only, because `batch_size()` was called.
        updates: The parameters that hold state, with the symbols of their new values.
        constants: The variables that the graph's caller must provide, by name.
    """

    training: bool
    symbolic: bool = False
    frozen: bool = False
    batch_size: int = 0
    is_for_batch_size: bool = False
    updates: list[tuple[Any, Any]] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)


class _Current(threading.local):
    trace: Trace | None = None


_current = _Current()


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Run a pass, and everything it calls, under `trace`."""
    previous, _current.trace = _current.trace, trace
    try:
        yield trace
    finally:
        _current.trace = previous


def is_training() -> bool:
    """Return whether this pass trains: the mode of the current trace if there is one, else MXNet's."""
    if _current.trace is not None:
        return _current.trace.training
    return bool(mxnet().autograd.is_training())


@contextmanager
def frozen_state() -> Iterator[None]:
    """Drop the new states of the passes inside, so that a network can be run without being changed."""
    with tracing(Trace(training=is_training(), frozen=True)):
        yield


def is_frozen() -> bool:
    """Return whether new states are dropped."""
    return _current.trace is not None and _current.trace.frozen


def require_trace(F: Any) -> None:
    """Raise an error if a graph is being traced that is not normlab's, because its mode is unknown.

    Raises:
        PluginError: `hybridize()` was called on a block that contains a norm.
    """
    mx = mxnet()
    if F is mx.symbol and (_current.trace is None or not _current.trace.symbolic):
        raise PluginError(
            "a network that contains a norm of normlab can't be hybridized: hybridize() would fix its mode to that of "
            "the first call; compile it with normlab.Graph(network, training=...), or run it imperatively"
        )


def update(parameter: Any, value: Any) -> None:
    """Set the value that a state has after this forward pass.

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
    write_states([(parameter, value)])


def write_states(updates: Iterable[tuple[Any, Any]]) -> None:
    """Copy new values into parameters on the values' device, without recording.

    Args:
        updates: Gluon parameters, each with its new value.
    """
    with mxnet().autograd.pause():
        for parameter, value in updates:
            value.copyto(parameter.data(value.context))


def batch_size(F: Any, like: Any) -> int:
    """Return the number of examples of the batch; a network whose norms call this is compiled for each batch size.

    Args:
        F: `mx.nd` or `mx.sym`.
        like: Activations of the pass, `(N, ...)`.
    """
    if F is mxnet().ndarray:
        return int(like.shape[0])
    require_trace(F)
    trace = _current.trace
    assert trace is not None  # noqa: S101 - require_trace() has checked it
    trace.is_for_batch_size = True
    return trace.batch_size


def constant(F: Any, like: Any, fill: Fill, size: Size = 1, *, per_example: bool = False, scratch: bool = False) -> Any:
    """Return a vector of equal elements, for operators that require a variable.

    Args:
        F: `mx.nd` or `mx.sym`.
        like: An array or symbol of the pass; of an array, the batch size (first axis), device and type are used.
        fill: The value of each element, or a function from the shape of `like` to it; either is free in a graph.
        size: The number of elements, or a function from the shape of `like` to it.
        per_example: Whether the vector has `size` elements for each example of the batch.
        scratch: Whether the operator writes to it.

    Returns:
        An array or a symbol of shape `(size,)` or `(N * size,)`.
    """
    mx = mxnet()
    if F is mx.ndarray:
        value, length = Constant(fill, size, per_example, scratch).resolve(like.shape)
        return mx.nd.full((length,), value, ctx=like.context, dtype=like.dtype)
    require_trace(F)
    trace = _current.trace
    assert trace is not None  # noqa: S101 - require_trace() has checked it
    by_shape = callable(fill) or callable(size)
    needed = Constant(fill, size, per_example, scratch, like if by_shape else None)
    described = "by_shape" if by_shape else f"{fill}{'n' * per_example}_{size}".replace(".", "p").replace("-", "m")
    name = f"normlab_{'scratch' if scratch else 'constant'}_{described}"
    if scratch or by_shape:  # a vector that an operator writes to, or that depends on a shape, is not shared
        name = f"{name}_{len(trace.constants)}"
    trace.constants[name] = needed
    return mx.symbol.var(name)
