"""Steps of small operators run with one thread, and all threads are used again afterwards."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from normlab.backend import threads as worker_threads
from normlab.backend.mxnet import mxnet

mx = mxnet()

MEASURE = """
import ctypes
from normlab.backend.mxnet import mxnet
mx = mxnet()
from normlab.backend import threads as worker_threads
count = ctypes.CDLL("libgomp.so.1").omp_get_max_threads
seen = []
look = worker_threads._FUNCTION(lambda *_: seen.append(count()))
def ask():
    where = worker_threads._Context(1, 0)
    mx.base._LIB.MXEnginePushSync(look, None, None, ctypes.byref(where), None, 0, None, 0, None, 0, b"look")
    mx.nd.waitall()
ask()
try:
    with worker_threads.limit_threads(1, [mx.cpu(0)]):
        ask()
        raise KeyError
except KeyError:
    ask()
print(seen)
"""


def seen(**environment):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, env={**ENVIRONMENT, **environment}
    )
    return done.stdout.strip()


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "3"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp is Linux's")
def test_thread_count_is_limited_inside_and_restored_afterwards():
    ctypes.CDLL("libgomp.so.1")
    assert seen() == "[3, 1, 3]"
    assert seen(MXNET_ENGINE_TYPE="NaiveEngine") == "[3, 1, 3]"


def test_thread_count_is_kept_if_the_engine_has_several_workers():
    assert seen(MXNET_CPU_WORKER_NTHREADS="2") == "[3, 3, 3]"


def test_small_steps_use_one_thread_and_large_ones_all(monkeypatch):
    monkeypatch.setattr(worker_threads, "threads", lambda: 4)
    assert worker_threads.choose_threads(179_000, 100) == 1
    assert worker_threads.choose_threads(12_000_000, 100) == 4


def test_thread_count_is_not_set_for_gpus_or_to_its_present_value(monkeypatch):
    monkeypatch.setattr(worker_threads, "threads", lambda: 4)
    monkeypatch.setattr(worker_threads, "_set", lambda *_: pytest.fail("set"))
    with worker_threads.limit_threads(1, [mx.gpu(0)]):
        pass
    with worker_threads.limit_threads(4, [mx.cpu(0)]):
        pass
