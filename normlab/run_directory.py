"""The directory of a run: where it is, and what is in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from normlab.history import RESULT, History
from normlab.storage import claim_directory, inside, safe_name, storage_errors

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
        history = History.load(self.path)
        return history if history.result is not None and history.result.is_last else None

    def prepare(self) -> None:
        """Make the directory, and take the result of an earlier attempt out of it.

        Raises:
            StorageError: It can't be made or written.
        """
        inside(self._out, self.path)
        if not self.path.is_dir():
            with contextlib.suppress(FileExistsError):
                claim_directory(self._out, *self._names)
        with storage_errors(self.path):
            (self.path / RESULT).unlink(missing_ok=True)
