"""Import MXNet 1.9.1 and GluonCV on current versions of NumPy and Python.

MXNet and GluonCV use names that NumPy 1.24 removed (`np.bool`) and `distutils`, which Python 3.12 removed. `mxnet()`
restores them, sets the environment variables that the libraries read when they load, imports MXNet and returns it. No
other module of normlab imports mxnet or gluoncv.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import warnings
from typing import Any

from normlab.backend.quick_import import fast_import

#: Environment settings that MXNet and libgomp read when they load, with the reason for each.
SETTINGS = {
    # libgomp's threads spin while they wait. If another process runs, that costs a multiple of 8 ms a parallel region.
    "OMP_WAIT_POLICY": "passive",
    # To wake a thread takes as long as a small operator, so threads spin for about 20 microseconds before they sleep.
    "GOMP_SPINCOUNT": "1000",
    # Do not print a message on standard error each time that MXNet falls back from oneDNN to its own operators.
    "MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0",
    # MXNet measures at each start which elementwise operators to run with several threads. With that tuning, large ones
    # take as long as with one thread, or longer; without it, they are two to five times as fast.
    "MXNET_USE_OPERATOR_TUNING": "0",
    # A batch norm that is fused with a convolution uses its running statistics, even if it should use the batch's.
    "MXNET_DISABLE_MKLDNN_FUSE_CONV_BN": "1",
}

#: Settings of glibc's allocator by their number in malloc.h, in bytes: M_MMAP_THRESHOLD, from which size on an array
#: has pages of its own, which are returned when it is freed; and M_TRIM_THRESHOLD, how much may be free at the end of
#: the heap. By default glibc adapts both to what was freed last, and the memory that a process keeps varies by 30 %.
_ALLOCATOR = {-3: 16 << 20, -1: 64 << 20}
_NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def threads() -> int:
    """Return the number of OpenMP threads that operators use: `OMP_NUM_THREADS`, by default one for each processor.

    The count is part of a run's identity, because it changes the last bits of sums.
    """
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else processors()


def mxnet() -> Any:
    """Return MXNet; the first call imports it, which takes about half a second."""
    if "mxnet" not in sys.modules:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        # if unset, MXNet uses half of the processors
        os.environ["OMP_NUM_THREADS"] = str(threads())
        _configure_allocator()
        _restore_numpy_aliases()
        _restore_distutils()
    return _import_quietly("mxnet")


def gluoncv() -> Any:
    """Return GluonCV; the first call imports MXNet and then GluonCV, which reports any failure as "missing mxnet"."""
    mxnet()
    return _import_quietly("gluoncv")


def _import_quietly(name: str) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    with warnings.catch_warnings(), fast_import():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    # the old code also causes warnings of newer NumPy and SciPy at each call, not only at import
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=rf"{name}(\.|$)")
    warnings.filterwarnings("ignore", category=FutureWarning, module=rf"{name}(\.|$)")
    return module


def _configure_allocator() -> None:
    """Apply `_ALLOCATOR`, unless the user has set one of glibc's own variables."""
    chosen = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ)
    if sys.platform == "linux" and not chosen:  # MXNet has no wheels for Linux with another C library
        for setting, value in _ALLOCATOR.items():
            ctypes.CDLL(None).mallopt(setting, value)


def _restore_numpy_aliases() -> None:
    import numpy as np  # noqa: PLC0415 - NumPy takes 60 ms to import, which lists and --help do not need

    for name, value in _NUMPY_ALIASES.items():
        # hasattr() would cause a warning on NumPy 1.20 to 1.23, which still have the old names
        if name not in vars(np):
            setattr(np, name, value)


def _restore_distutils() -> None:
    if sys.version_info >= (3, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("setuptools")
