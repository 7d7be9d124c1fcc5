"""Checks data files by SHA-256 once per machine and remembers which were right, so that later runs start at once.

The memory is a small JSON file in the person's cache folder: path to stamp and checksum. A file that changed has
another stamp and is checked again. Without a cache folder that can be written, files are checked each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.datasets.source import File, cache_folder
from normlab.errors import DataError

if TYPE_CHECKING:
    from normlab.datasets.payload import Payload

_PATIENCE = 10.0  # seconds to wait for another process that writes the memory


def verify(read: Iterable[tuple[File, Payload]], *, again: bool = False) -> None:
    """Check contents against the checksums they must have.

    Args:
        read: files as they should be, each with what was read.
        again: also those that were found right before.

    Raises:
        DataError: the first file that differs.
    """
    memory = {} if again else _remembered()
    fresh: dict[str, list[Any]] = {}
    for file, payload in read:
        key, entry = str(payload.path.absolute()), [*payload.stamp, file.sha256]
        if memory.get(key) != entry:
            _check(file, payload)
            fresh[key] = entry
    if fresh:
        _remember(fresh)


def sha256(contents: bytes) -> str:
    """The SHA-256 in hex."""
    return hashlib.sha256(contents).hexdigest()


def _check(file: File, payload: Payload) -> None:
    got = sha256(payload.contents)
    if got != file.sha256:
        raise DataError(f"{payload.path}: has SHA-256 {got} (uncompressed); expected {file.sha256} for {file.name}")


def _memory() -> Path:
    return cache_folder() / "verified.json"


def _remembered() -> dict[str, Any]:
    try:
        table = json.loads(_memory().read_bytes())
    except (OSError, ValueError):
        return {}  # none yet, or torn by a crash: everything is checked anew
    return table if isinstance(table, dict) else {}


def _remember(fresh: dict[str, list[Any]]) -> None:
    from filelock import FileLock  # noqa: PLC0415 - 30 ms that only a first check pays

    path = _memory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_PATIENCE):
            kept = {key: entry for key, entry in _remembered().items() if os.path.exists(key)}  # noqa: PTH110 - strings
            _replace(path, json.dumps({**kept, **fresh}, indent=0).encode())
    except (OSError, NotImplementedError):
        return  # a memory that can't be kept costs time, nothing else


def _replace(path: Path, contents: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".verified-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(contents)
        os.replace(temporary, path)  # noqa: PTH105 - a name from mkstemp
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108 - a name from mkstemp
        raise
