"""What a run has reached, as files: parameters, the optimizer's state, the history so far, and what goes with them.

Format version 1, described in docs/checkpoint-format.md. Arrays are in NumPy's own format without pickle, everything
else is JSON; a manifest of checksums stands over all (`normlab.runs.manifest`). Nothing here needs MXNet.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from normlab.errors import CheckpointError, StorageError
from normlab.runs.files import PathLike, remove_folder, remove_leftovers, storage_errors
from normlab.runs.format import NUMBER, VERSION, NewerFormat, check_types, check_version
from normlab.runs.manifest import read_sealed, write_sealed

Arrays = Mapping[str, NDArray[Any]]


PARAMETERS = "parameters.npz"
OPTIMIZER = "optimizer.npz"
HISTORY = "history.jsonl"
STATE = "state.json"

#: What a file is said to be that does not read as normlab wrote it.
_BROKEN = (ValueError, OverflowError, RecursionError, EOFError, KeyError, TypeError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Checkpoint:
    """What a run has reached.

    Attributes:
        run: Identity of the run, SHA-256 of what decides its bits.
        step: Steps taken.
        seconds: Of the run so far, over all its starts.
        training_seconds: Of its steps.
        evaluation_seconds: Of its evaluations.
        parameters: Parameters and running state by structural name.
        optimizer: Arrays of the optimizer's state, named `<parameter>/<index>`.
        updates: Updates of each parameter that the optimizer has counted.
        history: The history file up to here.
        made_with: Versions and the like, on which the last bits may depend.
    """

    run: str
    step: int
    seconds: float
    training_seconds: float
    evaluation_seconds: float
    parameters: Arrays
    optimizer: Arrays
    updates: Mapping[str, int]
    history: bytes
    made_with: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it as a new folder, and read it back.

        Raises:
            StorageError: It can't be written, or does not read as it was written.
        """
        state = {name: getattr(self, name) for name in _STATE}
        text = json.dumps({"version": VERSION, **state}, indent=2, allow_nan=False) + "\n"
        arrays = {PARAMETERS: _packed(self.parameters), OPTIMIZER: _packed(self.optimizer)}
        write_sealed(folder, {**arrays, HISTORY: self.history, STATE: text.encode()})

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read what `save` wrote.

        Raises:
            CheckpointError: Something in it is damaged.
            StorageError: It is of a newer format, or the permission to read is missing.
        """
        files = read_sealed(folder)
        missing = {PARAMETERS, OPTIMIZER, HISTORY, STATE} ^ set(files)
        if missing:
            raise CheckpointError(f"{folder / min(missing)}: absent, or of no use in a checkpoint")
        try:
            state = dict(json.loads(files[STATE]))
            check_version(state)
            check_types(state, {"version": (int,), **_STATE})
            parameters, optimizer = _unpacked(files[PARAMETERS]), _unpacked(files[OPTIMIZER])
        except NewerFormat as error:
            raise StorageError(f"{folder}: {error}; update normlab to go on with this run") from error
        except _BROKEN as error:
            raise CheckpointError(f"{folder}: not as normlab writes it: {error}") from error
        named = {name: state[name] for name in _STATE}
        return cls(**named, parameters=parameters, optimizer=optimizer, history=files[HISTORY])


_STATE: Mapping[str, tuple[type, ...]] = {
    "run": (str,),
    "step": (int,),
    "seconds": NUMBER,
    "training_seconds": NUMBER,
    "evaluation_seconds": NUMBER,
    "updates": (dict,),
    "made_with": (dict,),
}


def load(folder: Path) -> dict[str, NDArray[Any]]:
    """The parameters and running state of a run, by structural name.

    Args:
        folder: The run's `checkpoint` folder.

    Raises:
        CheckpointError: There are none, or they are damaged.
    """
    from normlab.runs.checkpoint import Generations  # noqa: PLC0415 - stands above this file

    found = Generations(folder).newest()
    if found is None:
        raise CheckpointError(f"{folder}: no checkpoint in it; expected the checkpoint folder of a run")
    return dict(found.parameters)


def _packed(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _unpacked(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        packed = [item.filename for item in archive.infolist() if item.compress_type != zipfile.ZIP_STORED]
    if packed:  # normlab compresses nothing, so that a file takes no more memory than it has bytes
        raise ValueError(f"{packed[0]} is compressed")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


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
