"""Run a NumPy function in float64 through the passes of a case, with gradients by complex differences.

A function of real numbers that is written with analytic operations takes complex ones as well, and for a step h so
small that its square is lost, f(x + ih) = f(x) + ih f'(x) to the last digit: the imaginary part is the derivative,
without the rounding of a difference (Squire and Trapp, "Using complex variables to estimate derivatives of real
functions", SIAM Review 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from reference import inputs
from reference.archive import Case, Header, Pass, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    #: From x, parameters, states and whether it trains, to the output and the new states.
    Forward = Callable[[Any, Mapping[str, Any], Mapping[str, Any], bool], tuple[Any, Mapping[str, Any]]]
    #: From the cotangent, x, parameters and states, to the gradients of x and of the parameters, and the new states.
    Backward = Callable[
        [Any, Any, Mapping[str, Any], Mapping[str, Any]], tuple[Any, Mapping[str, Any], Mapping[str, Any]]
    ]

#: Shapes without the examples, and the axis of channels, by layout.
SHAPES = {"NC": ((6,), 1), "NCHW": ((6, 3, 2), 1), "NTC": ((3, 6), 2)}

_STEP = 1e-30


def run(
    header: Header,
    forward: Forward,
    parameters: Mapping[str, Any] | None = None,
    states: Mapping[str, Any] | None = None,
    *,
    passes: Sequence[tuple[Any, Any]] | None = None,
    changes: Sequence[Mapping[str, Any]] = (),
    backward: Backward | None = None,
) -> Case:
    """Compute a case.

    Args:
        header: Its header.
        forward: The method, on `(N, C)` or `(N, C, positions ...)`, analytic in x and the parameters.
        parameters: Shapes of parameters that get values by their names, or values.
        states: The states before the first pass.
        passes: Inputs and cotangents, if not the usual ones for the layout.
        changes: The parameters that have another value from a pass on, for each pass; without any, all stay.
        backward: The backward pass of training by hand, where it is not the derivative of the forward pass.
    """
    shape, axis = SHAPES.get(header.layout, ((), 1))
    values = begin = {name: _value(header.case, name, value) for name, value in (parameters or {}).items()}
    now = {name: np.asarray(value, dtype="float64") for name, value in (states or {}).items()}
    start, done = now, []
    usual = inputs.BATCHES if states else inputs.STATELESS
    passes = passes or inputs.batches(header.case, shape, axis, usual)
    for index, (x, cotangent) in enumerate(passes):
        training = index < len(passes) - 1
        changed = dict(changes[index]) if changes else {}
        values = {**values, **changed}
        seen, head = np.moveaxis(x, axis, 1), np.moveaxis(cotangent, axis, 1)
        y, new = forward(seen, values, now, training)
        assert y.dtype == np.float64
        if training and backward is not None:
            x_gradient, gradients, in_backward = backward(head, seen, values, now)
            new = {**new, **in_backward}
        else:
            x_gradient, gradients = _gradients(
                lambda z, p, s=now, t=training: forward(z, p, s, t)[0], head, seen, values
            )
        now = {**now, **new} if training else now
        back = np.moveaxis(y, 1, axis), np.moveaxis(x_gradient, 1, axis)
        done.append(Pass(x, cotangent, *back, gradients, now, changed))
    return Case(header, begin, start, done[:-1], done[-1])


def _gradients(
    f: Callable[[Any, Any], Any], head: Any, x: Any, values: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    def of(name: str, value: Any) -> Any:
        return _derivative(lambda z: f(x, {**values, name: z}), value, head)

    return _derivative(lambda z: f(z, values), x, head), {name: of(name, value) for name, value in values.items()}


def _value(case: str, name: str, given: Any) -> Any:
    return inputs.parameter(case, name, given) if isinstance(given, tuple) else np.asarray(given, dtype="float64")


def _derivative(f: Callable[[Any], Any], at: Any, cotangent: Any) -> Any:
    found = np.zeros(at.shape)
    for index in np.ndindex(at.shape):
        moved = at.astype("complex128")
        moved[index] += _STEP * 1j
        found[index] = np.sum(cotangent * f(moved).imag) / _STEP
    return found


def store(method: str, cases: Sequence[Case]) -> None:
    """Store the cases of a method."""
    write("numpy", np.__version__, method, cases)


def per_channel(value: Any, like: Any) -> Any:
    """A vector `(C,)` in the shape in which it meets `(N, C, ...)`."""
    return value.reshape(1, -1, *[1] * (like.ndim - 2))


def positions(x: Any) -> tuple[int, ...]:
    """The axes of positions."""
    return tuple(range(2, x.ndim))


def moments(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Mean and biased variance over axes that stay, with size 1."""
    mean = x.mean(axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def count(x: Any, axes: tuple[int, ...]) -> int:
    """How many values there are along axes."""
    return int(np.prod([x.shape[axis] for axis in axes]))


def scale_shift(y: Any, p: Mapping[str, Any]) -> Any:
    """gamma y + beta."""
    return per_channel(p["gamma"], y) * y + per_channel(p["beta"], y)


def batch_norm(
    x: Any, s: Mapping[str, Any], *, training: bool, epsilon: float, keep: float
) -> tuple[Any, dict[str, Any]]:
    """Batch normalization without gamma and beta, and its new states: the mean, and the variance without bias."""
    axes = (0, *positions(x))
    if not training:
        mean, variance = per_channel(s["running_mean"], x), per_channel(s["running_var"], x)
        return (x - mean) / np.sqrt(variance + epsilon), {}
    mean, variance = moments(x, axes)
    m = count(x, axes)
    new = moved(s, keep, running_mean=mean, running_var=variance * m / (m - 1))
    return (x - mean) / np.sqrt(variance + epsilon), new


def larger(a: Any, b: Any) -> Any:
    """The larger of two, by their real parts."""
    a, b = np.broadcast_arrays(a, b)
    return np.where(np.real(a) > np.real(b), a, b)


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    """Shares of the exponentials along the last axis."""
    powers = np.exp(x - np.real(x).max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def moved(states: Mapping[str, Any], keep: float, **batch: Any) -> dict[str, Any]:
    """Running states after a step that keeps a share of them, flat and without what a derivative added."""
    return {
        name: keep * states[name] + (1 - keep) * np.real(value).reshape(states[name].shape)
        for name, value in batch.items()
    }
