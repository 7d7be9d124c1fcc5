"""The number of OpenMP threads that operators use: all, or one if the operators are too small to be split.

OpenMP's threads sleep between operators (see `normlab.backend.mxnet`), and to wake them takes longer than to run a
small operator. MXNet runs operators in a thread of its own, and OpenMP has a thread count for each thread, so the count
is set by a function that MXNet's engine runs in that thread.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from normlab.backend.mxnet import mxnet, threads

mx = mxnet()

#: Floating-point operations of a training step, over all its operators, below which one thread is faster.
SMALL = 200_000_000
#: A backward pass takes twice the operations of a forward pass.
_PASSES = 3

_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
#: Functions by count; they are kept here because the engine holds no reference to them.
_functions: dict[int, Any] = {}


class _Context(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("number", ctypes.c_int))


def choose_threads(operations: int, batch_size: int) -> int:
    """Return the number of threads that a training step should use.

    Args:
        operations: Floating-point operations of the forward pass of one example.
        batch_size: Examples of a step.
    """
    return 1 if _PASSES * operations * batch_size < SMALL else threads()


@contextmanager
def limit_threads(count: int, contexts: Sequence[Any]) -> Iterator[None]:
    """Run the operators inside with a number of threads.

    Args:
        count: Number of threads.
        contexts: The devices; devices other than CPUs are left alone.
    """
    # with several workers, it is unknown which one will run an operator
    alone = os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1") == "1"
    devices = [context for context in contexts if context.device_type == "cpu"] if alone else []
    if count == threads() or not devices:
        yield
        return
    _set(count, devices)
    try:
        yield
    finally:
        _set(threads(), devices)


def _set(count: int, devices: Sequence[Any]) -> None:
    """Set the count after all pending operators have run."""
    mx.nd.waitall()
    for device in devices:
        where = _Context(device.device_typeid, device.device_id)
        mx.base.check_call(
            mx.base._LIB.MXEnginePushSync(  # noqa: SLF001 - MXNet's C functions have no public interface
                _function(count), None, None, ctypes.byref(where), None, 0, None, 0, None, 0, b"threads"
            )
        )
    mx.nd.waitall()


def _function(count: int) -> Any:
    if count not in _functions:

        def set_here(_run: int | None, _parameter: int | None) -> None:
            mx.base._LIB.MXSetNumOMPThreads(count)  # noqa: SLF001 - as above

        _functions[count] = _FUNCTION(set_here)
    return _functions[count]
