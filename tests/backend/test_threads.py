"""How many threads a training step uses: one where its operators are small, all of them afterwards again."""

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
    with worker_threads.limited(1, [mx.cpu(0)]):
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
def test_operators_run_with_one_thread_inside_and_with_all_afterwards():
    ctypes.CDLL("libgomp.so.1")
    assert seen() == "[3, 1, 3]"
    assert seen(MXNET_ENGINE_TYPE="NaiveEngine") == "[3, 1, 3]"


def test_of_several_engine_threads_none_is_touched():
    assert seen(MXNET_CPU_WORKER_NTHREADS="2") == "[3, 3, 3]"


def test_small_steps_get_one_thread_large_ones_all(monkeypatch):
    monkeypatch.setattr(worker_threads, "threads", lambda: 4)
    assert worker_threads.for_step(179_000, 100) == 1
    assert worker_threads.for_step(12_000_000, 100) == 4


def test_devices_without_such_threads_are_left_alone(monkeypatch):
    monkeypatch.setattr(worker_threads, "threads", lambda: 4)
    monkeypatch.setattr(worker_threads, "_set", lambda *_: pytest.fail("set"))
    with worker_threads.limited(1, [mx.gpu(0)]):
        pass
    with worker_threads.limited(4, [mx.cpu(0)]):
        pass
