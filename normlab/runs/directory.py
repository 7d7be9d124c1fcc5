"""The directory of a run: its path, its lock and its history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from normlab.runs.files import claim_directory, inside, remove_leftovers, safe_name, storage_errors
from normlab.runs.history import RESULT, History, Result
from normlab.runs.lock import locked

CHECKPOINT = "checkpoint"
"""Name of the folder of a run's checkpoints."""

#: Number of digits of the identity in the name of a directory.
_DIGITS = 10


class RunDirectory:
    """`<out>/<name>/<norm>-s<seed>-<identity>`.

    Args:
        out: Folder of all runs.
        name: Name of the spec.
        label: Label of the norm.
        seed: Seed of the run.
        identity: SHA-256 of everything that determines the result of the run.

    Attributes:
        path: The directory.
        identity: SHA-256 of everything that determines the result of the run.
    """

    def __init__(self, out: str | Path, name: str, label: str, seed: int, identity: str) -> None:
        self._out = Path(out)
        self.identity = identity
        self._names = (safe_name(name), safe_name(f"{label[:60]}-s{seed}-{identity[:_DIGITS]}"))
        self.path = self._out.joinpath(*self._names)

    def stored(self) -> History | None:
        """Return the history of the run if the run has ended, else None.

        Raises:
            StorageError: The stored files are damaged.
        """
        if not (self.path / RESULT).exists():
            return None
        # a run that is resumed takes its history from the checkpoint
        return History.load(self.path) if Result.load(self.path / RESULT).is_last else None

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Create the directory and hold its lock in a context.

        Yields:
            True, or False if the file system does not support locks.

        Raises:
            InUse: Another process, named in the message, holds the lock.
            StorageError: The directory can't be written.
        """
        inside(self._out, self.path)
        if not self.path.is_dir():
            with contextlib.suppress(FileExistsError):
                claim_directory(self._out, *self._names)
        with locked(self.path) as able:
            yield able

    def prepare(self) -> None:
        """Remove the result of an earlier attempt and the unfinished files of killed processes.

        Raises:
            StorageError: The directory can't be written.
        """
        with storage_errors(self.path):
            (self.path / RESULT).unlink(missing_ok=True)
        remove_leftovers(self.path)
