"""MXNet contexts for the device names of a spec or the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resolve_devices(names: Sequence[str], warn: Callable[[str], None] = lambda _: None) -> list[Any]:
    """Return the MXNet contexts of device names.

    Args:
        names: `auto` alone, or any of `cpu`, `cpu:1`, `gpu`, `gpu:1`, ...
        warn: Called with a message if `auto` finds a GPU that MXNet can't use.

    Returns:
        One context for each name; for `auto` the first GPU if MXNet finds one, else the CPU.

    Raises:
        DeviceError: A name is unknown, or the GPU does not exist.
    """
    mx = mxnet()
    found = mx.context.num_gpus()
    if list(names) == ["auto"]:
        if not found and _has_driver():
            warn(f"there is a GPU, but {_explain_missing_gpu()}; using the CPU")
        return [mx.gpu(0) if found else mx.cpu(0)]
    return [_resolve_device(name, found) for name in names]


def put(array: NDArray[Any], device: Any) -> Any:
    """Return an array on a device; on the CPU it is not copied, so it must not be written to afterwards."""
    mx = mxnet()
    if device == mx.cpu(0) and array.flags.c_contiguous:
        return mx.nd.from_numpy(array)
    return mx.nd.array(array, ctx=device, dtype=array.dtype)


def _resolve_device(name: str, gpus: int) -> Any:
    mx = mxnet()
    match = re.fullmatch(r"(cpu|gpu)(?::(\d{1,3}))?", name)
    if not match:
        raise DeviceError(f"device {name!r}: unknown; expected auto, cpu, gpu or gpu:N")
    kind, index = match.group(1), int(match.group(2) or 0)
    if kind == "cpu":
        return mx.cpu(index)
    if index >= gpus:
        have = f"this machine has {gpus} that MXNet can use" if gpus else _explain_missing_gpu()
        raise DeviceError(f"device {name!r}: no such GPU: {have}; use --device cpu, or see `normlab doctor`")
    return mx.gpu(index)


def _explain_missing_gpu() -> str:
    if mxnet().runtime.Features().is_enabled("CUDA"):
        return "MXNet finds no GPU (check the driver and CUDA_VISIBLE_DEVICES)"
    return "this MXNet was built without CUDA (the wheels mxnet-cu112 to mxnet-cu117 have it)"


def _has_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists()
