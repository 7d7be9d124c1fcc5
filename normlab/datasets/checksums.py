"""Verify data files by SHA-256 once per machine, and remember the verified files so that later runs start faster.

The record is a small JSON file in the user's cache folder that maps each path to the file's stamp and checksum. A file
that changed has a different stamp and is verified again. Without a writable cache folder files are verified each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from normlab.datasets.payload import Payload
from normlab.datasets.source import File, cache_folder
from normlab.errors import DataError

_TIMEOUT = 10.0  # seconds to wait for another process that writes the record


def verify(read: Iterable[tuple[File, Payload]], *, again: bool = False) -> None:
    """Compare file contents with their expected checksums.

    Args:
        read: Each expected file with the contents that were read.
        again: Whether to verify files that were verified before as well.

    Raises:
        DataError: The first file that differs.
    """
    record = {} if again else _load_record()
    verified: dict[str, list[Any]] = {}
    for file, payload in read:
        key, entry = str(payload.path.absolute()), [*payload.stamp, file.sha256]
        if record.get(key) != entry:
            _check(file, payload)
            verified[key] = entry
    if verified:
        _add_to_record(verified)


def sha256(contents: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(contents).hexdigest()


def _check(file: File, payload: Payload) -> None:
    found = sha256(payload.contents)
    if found != file.sha256:
        raise DataError(f"{payload.path}: has SHA-256 {found} (uncompressed); expected {file.sha256} for {file.name}")


def _record_path() -> Path:
    return cache_folder() / "verified.json"


def _load_record() -> dict[str, Any]:
    try:
        record = json.loads(_record_path().read_bytes())
    except (OSError, ValueError):
        return {}  # there is none, or a crash damaged it: verify everything
    return record if isinstance(record, dict) else {}


def _add_to_record(verified: dict[str, list[Any]]) -> None:
    from filelock import FileLock  # noqa: PLC0415 - takes 30 ms, which only a first check pays

    path = _record_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_TIMEOUT):
            kept = {key: entry for key, entry in _load_record().items() if os.path.exists(key)}  # noqa: PTH110 - strings
            _replace(path, json.dumps({**kept, **verified}, indent=0).encode())
    except (OSError, NotImplementedError):
        return  # without a record later runs only take longer


def _replace(path: Path, contents: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".verified-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(contents)
        os.replace(temporary, path)  # noqa: PTH105 - a name from mkstemp
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108 - a name from mkstemp
        raise
