"""Lock a folder for one process. The operating system releases the lock when the process ends, even if it is killed.

The lock is `flock` on a file that names the owner. `filelock` does not report the owner, and does not support file
systems without locks.
"""

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
"""Name of the lock file, which names the owner of the lock and exists only while the lock is held."""

#: Errors of file systems that do not support locks.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def locked(folder: PathLike) -> Iterator[bool]:
    """Hold the lock of a folder in a context.

    A killed process leaves its lock file behind, but the file is no longer locked.

    Args:
        folder: An existing folder.

    Yields:
        True, or False if the file system does not support locks.

    Raises:
        InUse: Another process, named in the message, holds the lock.
        StorageError: The folder can't be written.
    """
    path = Path(folder) / LOCK
    with storage_errors(path):
        descriptor, supported = _open_locked(path)
    try:
        yield supported
    finally:
        # a process that has opened this file in the meantime will notice that it was removed
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def owner(folder: PathLike) -> str | None:
    """Return the owner of the lock of a folder, e.g. `process 4711 on lab3, since 2026-11-24 21:51:54`, or None."""
    try:
        found = json.loads((Path(folder) / LOCK).read_bytes())
        return f"process {int(found['process'])} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open_locked(path: Path) -> tuple[int, bool]:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            supported = _lock(descriptor, path)
            if supported and not _is_current(descriptor, path):
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _describe_owner().encode())
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        return descriptor, supported


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
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _describe_owner() -> str:
    since = datetime.now()  # noqa: DTZ005 - local time, for users on this machine
    return json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": f"{since:%Y-%m-%d %H:%M:%S}"})
