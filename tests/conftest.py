"""Settings for all tests."""

from __future__ import annotations

import gc
import os
import signal

# Tests in the background ignore Ctrl-C, and so would the processes that they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Processes of pytest-xdist share the processors. With more OpenMP threads than processors, threads wait for each other,
# and small operators take twice the processor time. Tests of threads set their number themselves.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _PROCESSES)))


def pytest_collection_finish() -> None:
    """Exempt the objects of seven thousand collected tests from every further garbage collection."""
    gc.collect()
    gc.freeze()
