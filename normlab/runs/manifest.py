"""Write and read folders with a manifest of checksums, so that any later change is detected."""

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
    """Create a folder of files with a manifest, and verify it by reading it back.

    Args:
        folder: The folder, which must not exist.
        files: Contents of the files by name.

    Raises:
        StorageError: The folder can't be written, or does not read back as it was written.
    """
    write_folder(folder, {**files, MANIFEST: _make_manifest(files)})
    if read_sealed(folder) != dict(files):
        raise CheckpointError(f"{folder}: does not read back as it was written; the disk may be failing")


def read_sealed(folder: PathLike) -> dict[str, bytes]:
    """Verify a folder with a manifest and return the contents of its files by name, without the manifest.

    Raises:
        CheckpointError: A file is missing, unknown or damaged; the message names it.
        StorageError: The permission to read is missing.
    """
    folder = Path(folder)
    raw = _read(folder / MANIFEST)
    expected = _parse_manifest(raw, folder / MANIFEST)
    try:
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
    except OSError as error:
        raise CheckpointError(f"{folder}: can't be listed: {error.strerror}") from error
    if found != set(expected):
        name = min(found ^ set(expected))
        raise CheckpointError(f"{folder / name}: {'not in' if name in found else 'missing, but in'} the manifest")
    contents = {name: _read(folder / name) for name in expected}
    for name, content in contents.items():
        if _fingerprint(content) != expected[name]:
            raise CheckpointError(f"{folder / name}: damaged: its size or SHA-256 differs from the manifest")
    return contents


def _make_manifest(files: Mapping[str, bytes]) -> bytes:
    return _dump({"files": {name: _fingerprint(content) for name, content in files.items()}})


def _dump(data: Mapping[str, Any]) -> bytes:
    own = sha256(json.dumps(data).encode()).hexdigest()
    return (json.dumps({**data, "sha256": own}, indent=2) + "\n").encode()


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def _parse_manifest(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        files = json.loads(raw)["files"]
        whole = isinstance(files, dict) and _dump({"files": files}) == raw
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
