"""Describe the machine of a measurement, without naming it or its owner."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_VECTORS = ("avx512f", "avx2", "avx", "sse2", "asimd")  # widest first, as /proc/cpuinfo calls them


def describe() -> str:
    """Return processor, vector instructions, cores, memory, system and load in one line."""
    parts = [_processor(), f"{_cores()} cores", *_memory(), f"{platform.system()} {platform.machine()}", *_load()]
    return ", ".join(parts)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "processor unknown"
    fields: dict[str, str] = dict(
        re.findall(r"^(model name|cpu family|model|flags|Features)\s*: (.*)$", text, re.MULTILINE)
    )
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    numbers = [f"{name.removeprefix('cpu ')} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    widest = next((name for name in _VECTORS if name in flags), "no vectors known")
    return f"{fields.get('model name', platform.machine())} ({', '.join([*numbers, widest])})"


def _memory() -> list[str]:
    try:
        return [f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB memory"]
    except (ValueError, OSError):
        return []


def _load() -> list[str]:
    try:
        return [f"load {os.getloadavg()[0]:.1f} before the first run"]
    except OSError:
        return []
