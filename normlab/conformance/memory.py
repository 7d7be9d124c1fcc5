"""How many bytes the process holds, as the C library counts them."""

from __future__ import annotations

import ctypes
import time
from functools import cache
from typing import Any

from normlab.backend.mxnet import mxnet

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
