"""Checkpoints of a run: parameters, state of the optimizer, history so far, and counters.

The format is version 1 of docs/checkpoint-format.md. Arrays are stored in NumPy's format without pickle, and everything
else as JSON. A manifest has the checksums of all files (`normlab.runs.manifest`). This module does not need MXNet.
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

#: Errors that reading a damaged file can raise.
_DAMAGE_ERRORS = (
    ValueError,
    OverflowError,
    RecursionError,
    EOFError,
    KeyError,
    TypeError,
    MemoryError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        run: Identity of the run: SHA-256 of everything that determines its result.
        step: Number of optimizer steps done.
        seconds: Duration of the run so far, over all its starts.
        training_seconds: Time spent on steps.
        evaluation_seconds: Time spent on evaluations.
        parameters: Parameters and running state by structural name.
        optimizer: Arrays of the optimizer's state, named `<parameter>/<index>`.
        updates: Number of updates of each parameter, as counted by the optimizer.
        history: Content of the history file up to this step.
        made_with: The environment, such as versions of packages, on which the last bits may depend.
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
        """Write the checkpoint to a new folder and verify it by reading it back.

        Raises:
            StorageError: The checkpoint can't be written, or does not read back as it was written.
        """
        state = {name: getattr(self, name) for name in _STATE}
        text = json.dumps({"version": VERSION, **state}, indent=2, allow_nan=False) + "\n"
        arrays = {PARAMETERS: _pack(self.parameters), OPTIMIZER: _pack(self.optimizer)}
        write_sealed(folder, {**arrays, HISTORY: self.history, STATE: text.encode()})

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read a checkpoint that `save` wrote.

        Raises:
            CheckpointError: The checkpoint is damaged.
            StorageError: The checkpoint has a newer format, or the permission to read it is missing.
        """
        files = read_sealed(folder)
        missing = {PARAMETERS, OPTIMIZER, HISTORY, STATE} ^ set(files)
        if missing:
            raise CheckpointError(f"{folder / min(missing)}: missing, or not a file of a checkpoint")
        try:
            state = dict(json.loads(files[STATE]))
            check_version(state)
            check_types(state, {"version": (int,), **_STATE})
            parameters, optimizer = _unpack(files[PARAMETERS]), _unpack(files[OPTIMIZER])
        except NewerFormat as error:
            raise StorageError(f"{folder}: {error}; update normlab to resume this run") from error
        except _DAMAGE_ERRORS as error:
            raise CheckpointError(f"{folder}: not in the format that normlab writes: {error}") from error
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
    """Return the parameters and running state of the newest checkpoint of a run, by structural name.

    Args:
        folder: The folder `checkpoint` of the run.

    Raises:
        CheckpointError: The folder contains no undamaged checkpoint.
    """
    found = Generations(folder).newest()
    if found is None:
        raise CheckpointError(f"{folder}: contains no checkpoint; expected the checkpoint folder of a run")
    return dict(found.parameters)


def _pack(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _unpack(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        packed = [item.filename for item in archive.infolist() if item.compress_type != zipfile.ZIP_STORED]
    if packed:  # normlab does not compress; a compressed file could take much more memory than its size
        raise ValueError(f"{packed[0]} is compressed")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


_NAME = re.compile(r"[0-9]{6,}")


class Generations:
    """Manages the checkpoints of a run: one numbered folder each, in the folder `checkpoint`.

    Args:
        folder: The folder `checkpoint`; `save` creates it.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)

    def paths(self) -> list[Path]:
        """Return the folders of all checkpoints, oldest first.

        Raises:
            StorageError: The permission to list the folder is missing.
        """
        with storage_errors(self.folder, "read"):
            if not self.folder.is_dir():
                return []
            return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), key=_number)

    def save(self, checkpoint: Checkpoint, *, keep: int) -> Path:
        """Save a checkpoint, then remove old ones.

        Args:
            checkpoint: The checkpoint.
            keep: Number of checkpoints to keep, including this one.

        Returns:
            The folder of the checkpoint.

        Raises:
            StorageError: The checkpoint can't be written, or does not read back as it was written. The older
                checkpoints are kept.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
        before = self.paths()
        path = self.folder / f"{_number(before[-1]) + 1 if before else 1:06d}"
        try:
            checkpoint.save(path)
        except CheckpointError:
            remove_folder(path)
            raise
        for old in before[: max(0, len(before) + 1 - keep)]:
            remove_folder(old)
        return path

    def newest(self, warn: Callable[[str], None] | None = None, *, discard: bool = False) -> Checkpoint | None:
        """Return the newest undamaged checkpoint, or None.

        Args:
            warn: Called with a message for each damaged checkpoint that is skipped.
            discard: Whether to remove the damaged checkpoints. Requires the lock of the run.

        Raises:
            StorageError: A checkpoint has a newer format, or the permission to read it is missing.
        """
        damaged = []
        for path in reversed(self.paths()):
            try:
                found = Checkpoint.load(path)
            except CheckpointError as error:
                if warn is not None:
                    warn(f"{error}; the previous checkpoint is used instead, if there is one")
                damaged.append(path)
                continue
            for each in damaged if discard else ():
                remove_folder(each)
            return found
        return None

    def clear(self) -> None:
        """Remove all checkpoints and the unfinished files of killed processes.

        Raises:
            StorageError: Something can't be removed.
        """
        for path in self.paths():
            remove_folder(path)
        self.tidy()

    def tidy(self) -> None:
        """Remove the unfinished files of killed processes.

        Raises:
            StorageError: Something can't be removed.
        """
        if self.folder.is_dir():
            remove_leftovers(self.folder)


def _number(path: Path) -> int:
    return int(path.name)
