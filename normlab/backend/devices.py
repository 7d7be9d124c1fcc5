"""The devices of a run, from what a spec or the command line asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from normlab.backend.mxnet import mxnet
from normlab.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def contexts(wanted: Sequence[str], warn: Callable[[str], None] = lambda _: None) -> list[Any]:
    """The MXNet contexts that are meant.

    Args:
        wanted: `auto`, or any of `cpu`, `cpu:1`, `gpu`, `gpu:1`, ...; one copy of the network goes to each.
        warn: Called with a sentence if `auto` finds a GPU that MXNet can't use.

    Returns:
        One context for each; `auto` is the first GPU if MXNet finds one, else the CPU.

    Raises:
        DeviceError: A GPU is asked for that is not there, or a name is none.
    """
    mx = mxnet()
    found = mx.context.num_gpus()
    if list(wanted) == ["auto"]:
        if not found and _driver_present():
            warn(f"there is a GPU, but {_why_no_gpu()}; using the CPU")
        return [mx.gpu(0) if found else mx.cpu(0)]
    return [_context(name, found) for name in wanted]


def put(array: NDArray[Any], device: Any) -> Any:
    """An array that nobody writes to any more, on a device; without a copy where the device is this processor."""
    mx = mxnet()
    if device == mx.cpu(0) and array.flags.c_contiguous:
        return mx.nd.from_numpy(array)
    return mx.nd.array(array, ctx=device, dtype=array.dtype)


def _context(name: str, gpus: int) -> Any:
    mx = mxnet()
    match = re.fullmatch(r"(cpu|gpu)(?::(\d{1,3}))?", name)
    if not match:
        raise DeviceError(f"device {name!r}: unknown; expected auto, cpu, gpu or gpu:N")
    kind, index = match.group(1), int(match.group(2) or 0)
    if kind == "cpu":
        return mx.cpu(index)
    if index >= gpus:
        have = f"this machine has {gpus} that MXNet can use" if gpus else _why_no_gpu()
        raise DeviceError(f"device {name!r}: no such GPU: {have}; use --device cpu, or see `normlab doctor`")
    return mx.gpu(index)


def _why_no_gpu() -> str:
    if mxnet().runtime.Features().is_enabled("CUDA"):
        return "MXNet sees no GPU (is the driver loaded, is CUDA_VISIBLE_DEVICES set?)"
    return "this MXNet was built without CUDA (the wheels mxnet-cu112 to mxnet-cu117 have it)"


def _driver_present() -> bool:
    from pathlib import Path  # noqa: PLC0415 - only `auto` without a GPU asks

    return Path("/proc/driver/nvidia/version").exists()
