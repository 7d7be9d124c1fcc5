"""Measure what methods cost in a training step: parameters, state, time and memory, beside MXNet's own BatchNorm."""

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
from normlab.conformance.subjects.cost_subjects import OPERATOR, Arrays, Asked, NotMeasured, Subject, operator, subject
from normlab.errors import SpecError

_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Counts(ctypes.Structure):
    """The struct of glibc's mallinfo2(3)."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


#: Seconds between two looks, and how often to look at most until nothing changes.
_PAUSE, _LOOKS = 0.005, 40


def bytes_in_use() -> int | None:
    """Bytes that are allocated and not freed, once all operators have run.

    MXNet takes the arrays of the CPU from the C library and gives them back when they are dropped, so the difference
    between two calls is what was kept in between, which the size of the process does not tell: that also holds what
    was freed.

    Returns:
        The number, or None where the C library has no mallinfo2 (it came with glibc 2.33).
    """
    if _counter() is None:
        return None
    mxnet().nd.waitall()
    # MXNet's threads drop the arrays of the last operators a moment after these are done
    last, now = -1, _count()
    for _ in range(_LOOKS):
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


mx = mxnet()

#: The shapes at which methods are measured, unless others are asked for.
SHAPES = {
    "hidden layer of a perceptron": (100, 100),
    "early convolution": (64, 16, 32, 32),
    "late convolution": (64, 64, 8, 8),
}
#: Rounds that are not counted.
WARM_UP = 2
#: What the figure for memory is.
MEMORY = "bytes that a step holds when it ends: its output, and the arrays and plan that its graph keeps"


class Cost(NamedTuple):
    """What one way of a method costs at one shape.

    Attributes:
        norm: What the method is called.
        way: How it acts; `operator` for MXNet's own.
        parameters: Numbers that are learned.
        state: Numbers of running state.
        forward_ms: Milliseconds of the forward pass, or of all where there is no backward pass.
        backward_ms: Milliseconds of the backward pass, of the gradients of input and parameters.
        memory: Bytes that a step holds when it ends (see `MEMORY`); None where they can't be counted.
        ratio: Forward and backward pass together, as a multiple of the operator's.
        note: Why it was not measured, or what else there is to know.
        broken: Whether the method failed where it should not.
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
    """What is measured, its memory, and its seconds: of the forward pass and of all, one pair a round."""

    subject: Subject
    memory: int | None
    times: list[tuple[float, float]]


def ticks(asked: Sequence[Asked], rounds: int) -> int:
    """How often `costs` calls `done`."""
    return sum(len(each.norm.ways) for each in asked) + WARM_UP + rounds


def costs(
    asked: Sequence[Asked], shape: tuple[int, ...], rounds: int, done: Callable[[], None] = lambda: None
) -> list[Cost]:
    """Measure methods at a shape.

    Args:
        asked: The methods.
        shape: `(N, C)` or `(N, C, H, W)`.
        rounds: How often each is measured.
        done: Called after each way is made and after each round.

    Returns:
        MXNet's operator, then every way of every method, those that could not be measured with a note.
    """
    arrays = Arrays(shape)
    reference = _entry(lambda: operator(arrays))
    rows: list[tuple[Cost, _Entry | None]] = [(Cost(OPERATOR, "operator"), reference)]
    for each in asked:
        for way in each.norm.ways:
            rows.append(_row(each, way, arrays))
            done()
    for count in range(WARM_UP + rounds):
        for _, entry in rows:
            if entry is not None:
                taken = _timed(entry.subject)
                entry.times.extend([taken] * (count >= WARM_UP))
        done()
    return [_filled(row, entry, reference) if entry else row for row, entry in rows]


def _row(asked: Asked, way: str, arrays: Arrays) -> tuple[Cost, _Entry | None]:
    row = Cost(asked.label, way)
    try:
        return row, _entry(lambda: subject(asked, way, arrays))
    except (NotMeasured, SpecError) as refusal:
        return row._replace(note=" ".join(str(refusal).split())), None
    except ValidationError as error:
        unfit = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
        return row._replace(note="; ".join(unfit)), None
    except Exception as error:  # noqa: BLE001 - whatever a method raises is told beside the others' figures
        return row._replace(note=describe_error(error), broken=True), None


def _entry(make: Callable[[], Subject]) -> _Entry:
    # the first of its kind also pays for what MXNet keeps for all that follow
    _held(make())
    new = make()
    return _Entry(new, _held(new), [])


def _held(made: Subject) -> int | None:
    """Bytes that a first step holds when it ends."""
    before = bytes_in_use()
    with mx.autograd.record():
        output = made.forward()
    if made.cotangent is not None:
        output.backward(made.cotangent)
    after = bytes_in_use()
    # MXNet tells of what went wrong when a value is asked for
    output.wait_to_read()
    return None if before is None or after is None else max(0, after - before)


def _timed(made: Subject) -> tuple[float, float]:
    """Seconds to the end of the forward pass, and to the end of all."""
    started = time.perf_counter()
    if made.cotangent is None:
        made.forward().wait_to_read()
    else:
        with mx.autograd.record():
            output = made.forward()
        output.wait_to_read()
    forward = time.perf_counter() - started
    if made.cotangent is not None:
        output.backward(made.cotangent)
        mx.nd.waitall()
    return forward, time.perf_counter() - started


def _filled(row: Cost, entry: _Entry, reference: _Entry) -> Cost:
    made = entry.subject
    has_backward = made.cotangent is not None
    return row._replace(
        parameters=made.parameters,
        state=made.state,
        forward_ms=1e3 * median(forward for forward, _ in entry.times),
        backward_ms=1e3 * median(both - forward for forward, both in entry.times) if has_backward else None,
        memory=entry.memory,
        ratio=median(one / other for (_, one), (_, other) in zip(entry.times, reference.times)),
        note="" if made.compiled or not has_backward else "not compiled: it can't be traced",
    )
