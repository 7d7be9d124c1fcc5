"""Measure what methods cost in a training step: parameters, state, time and memory, beside MXNet's own BatchNorm.

Everything is measured in turn, A B C A B C ..., so that a slow moment of the machine affects all alike. Each figure is
the median over the rounds. Each ratio is the median, over the rounds, of a method's time divided by the operator's time
in the same round. A weight method is measured on the weight of a layer that gives such activations (dense, or a 3x3
convolution, from C to C channels), a method around the optimizer's step on that weight and its gradient.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from functools import cache
from statistics import median
from typing import Any, Callable, NamedTuple, Optional

from pydantic import ValidationError

from normlab.backend.mxnet import mxnet
from normlab.conformance.check import describe_error
from normlab.conformance.cost_subjects import (
    OPERATOR,
    Arrays,
    MethodToMeasure,
    NotMeasured,
    Subject,
    build_operator,
    build_subject,
)
from normlab.errors import SpecError

mx = mxnet()

#: The default shapes.
SHAPES = {
    "hidden layer of a perceptron": (100, 100),
    "early convolution": (64, 16, 32, 32),
    "late convolution": (64, 64, 8, 8),
}
#: Number of rounds before those that count.
WARM_UP = 2
#: The meaning of the figure for memory.
MEMORY = "bytes that a step holds when it ends: its output, and the arrays and plan that its graph keeps"


class Cost(NamedTuple):
    """The cost of one way of a method at one shape.

    Attributes:
        norm: The label of the method.
        way: The way; `operator` for MXNet's own operator.
        parameters: Number of learned values.
        state: Number of values of running state.
        forward_ms: Milliseconds of the forward pass.
        backward_ms: Milliseconds of the backward pass, for the gradients of input and parameters; None without one.
        memory: Bytes held at the end of a step (see `MEMORY`); None where they cannot be counted.
        ratio: Time of both passes, divided by that of the operator.
        note: Why it was not measured, or a remark.
        broken: Whether it raised an unexpected error.
    """

    norm: str
    way: str
    parameters: Optional[int] = None
    state: Optional[int] = None
    forward_ms: Optional[float] = None
    backward_ms: Optional[float] = None
    memory: Optional[int] = None
    ratio: Optional[float] = None
    note: str = ""
    broken: bool = False


class _Entry(NamedTuple):
    """A subject, its memory, and its seconds for the forward pass and for both passes, one pair for each round."""

    subject: Subject
    memory: int | None
    times: list[tuple[float, float]]


def count_ticks(methods: Sequence[MethodToMeasure], rounds: int) -> int:
    """Return how often `measure_costs` calls `done`."""
    return sum(len(each.norm.ways) for each in methods) + WARM_UP + rounds


def measure_costs(
    methods: Sequence[MethodToMeasure], shape: tuple[int, ...], rounds: int, done: Callable[[], None] = lambda: None
) -> list[Cost]:
    """Measure methods at a shape.

    Args:
        methods: The methods.
        shape: `(N, C)` or `(N, C, H, W)`.
        rounds: How often each is measured.
        done: Called when each way is built and after each round.

    Returns:
        The cost of MXNet's operator, then of every way of every method; a note says why one was not measured.
    """
    arrays = Arrays(shape)
    reference = _entry(lambda: build_operator(arrays))
    rows: list[tuple[Cost, _Entry | None]] = [(Cost(OPERATOR, "operator"), reference)]
    for each in methods:
        for way in each.norm.ways:
            rows.append(_row(each, way, arrays))
            done()
    for count in range(WARM_UP + rounds):
        for _, entry in rows:
            if entry is not None:
                taken = _time(entry.subject)
                entry.times.extend([taken] * (count >= WARM_UP))
        done()
    return [_fill(row, entry, reference) if entry else row for row, entry in rows]


def _row(method: MethodToMeasure, way: str, arrays: Arrays) -> tuple[Cost, _Entry | None]:
    row = Cost(method.label, way)
    try:
        return row, _entry(lambda: build_subject(method, way, arrays))
    except (NotMeasured, SpecError) as refusal:
        return row._replace(note=" ".join(str(refusal).split())), None
    except ValidationError as error:
        unfit = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
        return row._replace(note="; ".join(unfit)), None
    except Exception as error:  # noqa: BLE001 - the table shows what a method raises beside the others' figures
        return row._replace(note=describe_error(error), broken=True), None


def _entry(build: Callable[[], Subject]) -> _Entry:
    # the first run also allocates what MXNet keeps for later runs
    _bytes_held(build())
    new = build()
    return _Entry(new, _bytes_held(new), [])


def _bytes_held(subject: Subject) -> int | None:
    """Return the bytes held at the end of a first step."""
    before = bytes_in_use()
    with mx.autograd.record():
        output = subject.forward()
    if subject.cotangent is not None:
        output.backward(subject.cotangent)
    after = bytes_in_use()
    # MXNet raises errors of operators only when a value is read
    output.wait_to_read()
    return None if before is None or after is None else max(0, after - before)


def _time(subject: Subject) -> tuple[float, float]:
    """Return the seconds to the end of the forward pass, and to the end of both passes."""
    started = time.perf_counter()
    if subject.cotangent is None:
        subject.forward().wait_to_read()
    else:
        with mx.autograd.record():
            output = subject.forward()
        output.wait_to_read()
    forward = time.perf_counter() - started
    if subject.cotangent is not None:
        output.backward(subject.cotangent)
        mx.nd.waitall()
    return forward, time.perf_counter() - started


def _fill(row: Cost, entry: _Entry, reference: _Entry) -> Cost:
    subject = entry.subject
    has_backward = subject.cotangent is not None
    return row._replace(
        parameters=subject.parameters,
        state=subject.state,
        forward_ms=1e3 * median(forward for forward, _ in entry.times),
        backward_ms=1e3 * median(both - forward for forward, both in entry.times) if has_backward else None,
        memory=entry.memory,
        ratio=median(one / other for (_, one), (_, other) in zip(entry.times, reference.times)),
        note="" if subject.compiled or not has_backward else "not compiled: it cannot be traced",
    )


_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Counts(ctypes.Structure):
    """The struct of glibc's mallinfo2(3)."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


#: Seconds between two counts, and the most counts until the number stays the same.
_PAUSE, _MOST_COUNTS = 0.005, 40


def bytes_in_use() -> int | None:
    """Return the bytes that are allocated and not freed, once all operators have run.

    MXNet allocates the arrays of the CPU by the C library and frees them when they are dropped, so the difference
    between two calls is what was kept in between. The size of the process would include what was freed.

    Returns:
        The number, or None if the C library has no mallinfo2, which needs glibc 2.33.
    """
    if _counter() is None:
        return None
    mxnet().nd.waitall()
    # MXNet's threads free the arrays of the last operators a moment after these have finished
    last, now = -1, _count()
    for _ in range(_MOST_COUNTS):
        if now == last:
            break
        time.sleep(_PAUSE)
        last, now = now, _count()
    return now


def _count() -> int:
    counts = _counter()()
    return int(counts.uordblks) + int(counts.hblkhd)


@cache
def _counter() -> Any:
    counter = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if counter is not None:
        counter.restype = _Counts
    return counter
