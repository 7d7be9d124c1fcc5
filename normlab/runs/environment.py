"""Record the environment of a run: versions, processor, settings and plugins."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from normlab.backend.mxnet import SETTINGS, processors, threads

_PACKAGES = ("normlab", "mxnet", "gluoncv", "numpy", "scipy", "matplotlib")


def environment(devices: Sequence[str], sources: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return a description of this process and machine, as plain data.

    Args:
        devices: Devices of the run.
        sources: Distribution, version and file of each part that a plugin registers.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": processors(),
        "threads": threads(),
        "devices": list(devices),
        "versions": {name: _version(name) for name in _PACKAGES},
        "settings": SETTINGS,
        "commit": _commit(),
        "plugins": [
            {**source, "sha256": sha256(Path(source["file"]).read_bytes()).hexdigest()}
            for source in {source["file"]: source for source in sources}.values()
            if source["file"]
        ],
        "arguments": sys.argv[1:],
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str | None:
    """Return the commit of the checkout that normlab runs from, with `+changes` if it has uncommitted changes."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603 - fixed arguments
    return done.stdout.strip()
