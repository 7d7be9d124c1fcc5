"""Make MXNet 1.9.1 import on today's numpy and Python; the only door to mxnet and gluoncv.

MXNet and GluonCV were written for names that numpy 1.24 removed (`np.bool`) and for `distutils`, which Python 3.12
removed. `mxnet()` restores those names, sets what the libraries read once when they load (OpenMP), imports MXNet and
returns it. Nothing else in normlab says `import mxnet`.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import warnings
from typing import Any

from normlab.backend.quick_import import prepared

#: Environment settings that MXNet and libgomp read when they load, with the reason for each.
SETTINGS = {
    # libgomp's threads spin while they wait; with any other process running that costs a multiple of 8 ms a region.
    "OMP_WAIT_POLICY": "passive",
    # But waking one takes as long as a small operator: so they spin for some 20 microseconds first.
    "GOMP_SPINCOUNT": "1000",
    # MXNet falls back from oneDNN where it must; saying so on standard error at each call helps nobody.
    "MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0",
    # MXNet measures at each start which element by element operators are worth several threads. With that, large ones
    # take what they take with one, or more; without, two to five times less.
    "MXNET_USE_OPERATOR_TUNING": "0",
    # Fused with a convolution, a batch norm is given its running statistics, whatever it asks for.
    "MXNET_DISABLE_MKLDNN_FUSE_CONV_BN": "1",
}

#: By glibc's number of the setting: from how many bytes on an array has pages of its own, which go back when it is
#: freed, and how many may lie free at the end of the heap. By default both follow what was freed last, and after one
#: run a process keeps 30 % more than after another.
_ALLOCATOR = {-3: 16 << 20, -1: 64 << 20}
_NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}


def processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def threads() -> int:
    """The number of OpenMP threads that operators use: `OMP_NUM_THREADS`, by default one a processor.

    The count is part of a run's identity, because it changes the last bits of sums.
    """
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else processors()


def mxnet() -> Any:
    """MXNet, imported on the first call (about a second) with all that it needs to import today."""
    if "mxnet" not in sys.modules:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        # Unset, MXNet takes half of the processors.
        os.environ["OMP_NUM_THREADS"] = str(threads())
        _settle_allocator()
        _restore_numpy_aliases()
        _restore_distutils()
    return _quietly("mxnet")


def gluoncv() -> Any:
    """GluonCV, imported on the first call, after MXNet: it calls every failure of MXNet's "missing mxnet"."""
    mxnet()
    return _quietly("gluoncv")


def _quietly(name: str) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    with warnings.catch_warnings(), prepared():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    # Warnings of old code about newer numpy and scipy that come up at each call, not only at import.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=rf"{name}(\.|$)")
    warnings.filterwarnings("ignore", category=FutureWarning, module=rf"{name}(\.|$)")
    return module


def _settle_allocator() -> None:
    """Set `_ALLOCATOR`, unless somebody has set what they want by glibc's own variables."""
    chosen = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ)
    if sys.platform == "linux" and not chosen:  # MXNet has no wheels for other systems' C library there
        for setting, value in _ALLOCATOR.items():
            ctypes.CDLL(None).mallopt(setting, value)


def _restore_numpy_aliases() -> None:
    import numpy as np  # noqa: PLC0415 - numpy costs 60 ms, which listing and --help need not pay

    for name, value in _NUMPY_ALIASES.items():
        # hasattr() would warn on numpy 1.20 to 1.23, which still answer for the old names
        if name not in vars(np):
            setattr(np, name, value)


def _restore_distutils() -> None:
    if sys.version_info >= (3, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("setuptools")
