"""Jobs shared out between this process and a copy of it, where copying a process is safe and gains time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_THREADS = Path("/proc/self/task")


def do_all(jobs: Sequence[Callable[[], object]]) -> None:
    """Do jobs whose effect is in files; every other one in a copy of this process, if that is safe.

    It is safe where this process has one thread only, as in `normlab report`, for a copy has none of the others and
    would wait for ever for a lock that one of them held. Where MXNet is loaded there are others.

    Args:
        jobs: What to do, in any order. What the copy can't do is done again in this process.

    Raises:
        Exception: Whatever a job raises.
    """
    if not _is_safe_to_copy() or len(os.sched_getaffinity(0)) == 1:
        _do(jobs)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    copy = os.fork()
    if copy == 0:
        _do_and_leave(jobs[1::2])
    try:
        _do(jobs[::2])
    finally:
        _, status = os.waitpid(copy, 0)
    if status != 0:
        _do(jobs[1::2])


def _is_safe_to_copy() -> bool:
    return sys.platform == "linux" and _THREADS.is_dir() and len(list(_THREADS.iterdir())) == 1


def _do(jobs: Sequence[Callable[[], object]]) -> None:
    for job in jobs:
        job()


def _do_and_leave(jobs: Sequence[Callable[[], object]]) -> None:
    """Ends this process without what else is done at the end of one, which is the original's to do."""
    status = 1
    try:
        _do(jobs)
        status = 0
    finally:
        os._exit(status)
