"""The checkpoints of a run: a new one is verified before an old one goes, and a damaged one is passed over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from normlab.errors import CheckpointError
from normlab.storage import remove_folder, remove_leftovers, storage_errors
from normlab.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from normlab.storage import PathLike

_NAME = re.compile(r"[0-9]{6,}")


class Generations:
    """The folder `checkpoint` of a run, with a folder for each checkpoint, numbered as they were made.

    Args:
        folder: The folder; `save` makes it.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)

    def paths(self) -> list[Path]:
        """The folders of all checkpoints, the oldest first.

        Raises:
            StorageError: The permission to look is missing.
        """
        with storage_errors(self.folder, "read"):
            if not self.folder.is_dir():
                return []
            return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), key=_serial)

    def save(self, checkpoint: Checkpoint, *, keep: int) -> Path:
        """Store a checkpoint, and only then remove old ones.

        Args:
            checkpoint: What the run has reached.
            keep: How many stay, this one included.

        Returns:
            Its folder.

        Raises:
            StorageError: It can't be written, or does not read as it was written; those before it stand.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
        before = self.paths()
        path = self.folder / f"{_serial(before[-1]) + 1 if before else 1:06d}"
        try:
            checkpoint.save(path)
        except CheckpointError:
            remove_folder(path)
            raise
        for old in before[: max(0, len(before) + 1 - keep)]:
            remove_folder(old)
        return path

    def newest(self, warn: Callable[[str], None] | None = None, *, discard: bool = False) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None.

        Args:
            warn: Is told of each damaged one that is passed over.
            discard: Whether those are removed; only for who holds the run's lock.

        Raises:
            StorageError: One is of a newer format, or the permission to read is missing.
        """
        damaged = []
        for path in reversed(self.paths()):
            try:
                found = Checkpoint.load(path)
            except CheckpointError as error:
                if warn is not None:
                    warn(f"{error}; the checkpoint before it is taken, if there is one")
                damaged.append(path)
                continue
            for each in damaged if discard else ():
                remove_folder(each)
            return found
        return None

    def clear(self) -> None:
        """Remove all checkpoints, and what a killed process left unfinished.

        Raises:
            StorageError: They can't be removed.
        """
        for path in self.paths():
            remove_folder(path)
        self.tidy()

    def tidy(self) -> None:
        """Remove what a killed process left unfinished.

        Raises:
            StorageError: It can't be removed.
        """
        if self.folder.is_dir():
            remove_leftovers(self.folder)


def _serial(path: Path) -> int:
    return int(path.name)
