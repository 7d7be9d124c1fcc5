"""Folders of files under a manifest of checksums: whatever changes in them later is found when they are read."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from normlab.errors import CheckpointError, StorageError
from normlab.runs.files import PathLike, read_bytes, write_folder

MANIFEST = "manifest.json"


def write_sealed(folder: PathLike, files: Mapping[str, bytes]) -> None:
    """Makes a new folder of files and a manifest, and reads all of it back before it returns.

    Args:
        folder: the folder, which must not exist.
        files: contents by name.

    Raises:
        StorageError: it can't be written, or does not read as it was written.
    """
    write_folder(folder, {**files, MANIFEST: _manifest(files)})
    if read_sealed(folder) != dict(files):
        raise CheckpointError(f"{folder}: reads otherwise than it was written; the disk may be failing")


def read_sealed(folder: PathLike) -> dict[str, bytes]:
    """Contents by name of all files of such a folder but the manifest, verified.

    Raises:
        CheckpointError: a file is absent, unknown or damaged; names it.
        StorageError: the permission to read is missing.
    """
    folder = Path(folder)
    raw = _read(folder / MANIFEST)
    expected = _files(raw, folder / MANIFEST)
    try:
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
    except OSError as error:
        raise CheckpointError(f"{folder}: can't be listed: {error.strerror}") from error
    if found != set(expected):
        name = min(found ^ set(expected))
        raise CheckpointError(f"{folder / name}: {'not in' if name in found else 'absent, but in'} the manifest")
    contents = {name: _read(folder / name) for name in expected}
    for name, content in contents.items():
        if _fingerprint(content) != expected[name]:
            raise CheckpointError(f"{folder / name}: damaged: size or SHA-256 is not that of the manifest")
    return contents


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return _text({"files": {name: _fingerprint(content) for name, content in files.items()}})


def _text(data: Mapping[str, Any]) -> bytes:
    own = sha256(json.dumps(data).encode()).hexdigest()
    return (json.dumps({**data, "sha256": own}, indent=2) + "\n").encode()


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def _files(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        files = json.loads(raw)["files"]
        whole = isinstance(files, dict) and _text({"files": files}) == raw
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: damaged: does not match its own checksum")
    return {str(name): value for name, value in files.items()}


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except StorageError as error:
        reason = error.__cause__
        if isinstance(reason, OSError) and reason.errno in (errno.EACCES, errno.EPERM):
            raise
        raise CheckpointError(str(error)) from error
