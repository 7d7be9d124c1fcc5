"""The directory of a run: where it is, and what is in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from normlab.runs.files import claim_directory, inside, remove_leftovers, safe_name, storage_errors
from normlab.runs.history import RESULT, History, Result
from normlab.runs.lock import locked

CHECKPOINT = "checkpoint"
"""Name of the folder of a run's checkpoints."""

#: Digits of the identity in a directory's name.
_DIGITS = 10


class RunDirectory:
    """`<out>/<name>/<norm>-s<seed>-<identity>`.

    Args:
        out: Where runs go.
        name: The spec's name.
        label: The norm in a word.
        seed: The run's seed.
        identity: SHA-256 of what decides the run's bits.

    Attributes:
        path: The directory.
        identity: SHA-256 of what decides the run's bits.
    """

    def __init__(self, out: str | Path, name: str, label: str, seed: int, identity: str) -> None:
        self._out = Path(out)
        self.identity = identity
        self._names = (safe_name(name), safe_name(f"{label[:60]}-s{seed}-{identity[:_DIGITS]}"))
        self.path = self._out.joinpath(*self._names)

    def stored(self) -> History | None:
        """The run's history, if it ended; None if it never ran or is unfinished.

        Raises:
            StorageError: What is stored is damaged.
        """
        if not (self.path / RESULT).exists():
            return None
        # a run that goes on takes its history from its checkpoint
        return History.load(self.path) if Result.load(self.path / RESULT).is_last else None

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Make the directory and hold its lock; gives False where the file system has no locks.

        Raises:
            StorageError: Another process has the lock, which the message names; or the directory can't be written.
        """
        inside(self._out, self.path)
        if not self.path.is_dir():
            with contextlib.suppress(FileExistsError):
                claim_directory(self._out, *self._names)
        with locked(self.path) as able:
            yield able

    def prepare(self) -> None:
        """Take the result of an earlier attempt out of the directory, and what a killed process left unfinished.

        Raises:
            StorageError: It can't be written.
        """
        with storage_errors(self.path):
            (self.path / RESULT).unlink(missing_ok=True)
        remove_leftovers(self.path)
