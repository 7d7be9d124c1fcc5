"""One process at a time in a folder, by a lock of the operating system that ends with its process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from normlab.errors import InUse
from normlab.runs.files import PathLike, storage_errors

LOCK = ".lock"
"""Name of the file that is locked, and that says who has the lock; it is there only as long as a process has it."""

#: What file systems without locks answer.
_UNABLE = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def locked(folder: PathLike) -> Iterator[bool]:
    """Holds the lock of a folder; gives False where the file system has no locks.

    A killed process leaves its file behind, but not its lock.

    Args:
        folder: the folder, which exists.

    Raises:
        InUse: another process has the lock, which the message names.
        StorageError: the folder can't be written.
    """
    path = Path(folder) / LOCK
    with storage_errors(path):
        descriptor, able = _opened(path)
    try:
        yield able
    finally:
        # whoever opened this very file meanwhile finds that it is no longer the one of that name
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def owner(folder: PathLike) -> str | None:
    """Who says to have the lock of a folder, e.g. `process 4711 on lab3, since 2026-11-24 21:51:54`, or None."""
    try:
        told = json.loads((Path(folder) / LOCK).read_bytes())
        return f"process {int(told['process'])} on {told['host']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _opened(path: Path) -> tuple[int, bool]:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            able = _lock(descriptor, path)
            if able and not _is_still(descriptor, path):
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _self().encode())
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        return descriptor, able


def _lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = owner(path.parent) or "another process"
        raise InUse(
            f"{path.parent}: in use by {who}; expected one process at a time; "
            "wait until it ends, or stop it, and run the same command again"
        ) from error
    except OSError as error:
        if error.errno in _UNABLE:
            return False
        raise
    return True


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _self() -> str:
    since = datetime.now()  # noqa: DTZ005 - a person of this place reads it
    return json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": f"{since:%Y-%m-%d %H:%M:%S}"})
