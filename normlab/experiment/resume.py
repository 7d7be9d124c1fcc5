"""Resume a stopped run: find its checkpoint, warn of what has changed since, and restore its history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from normlab.errors import CheckpointError, StorageError
from normlab.runs.files import write_atomically
from normlab.runs.history import Header, HistoryWriter
from normlab.runs.history_file import read_history

if TYPE_CHECKING:  # loads NumPy
    from normlab.runs.checkpoint import Checkpoint, Generations

Warn = Callable[[str], None]

#: Packages whose version can change the last bits of a run.
PACKAGES = ("normlab", "mxnet", "gluoncv", "numpy", "scipy")


def find_checkpoint(
    checkpoints: Generations, run: str, environment: Mapping[str, Any], warn: Warn
) -> Checkpoint | None:
    """Return the newest intact checkpoint of a run, or None if the run has to start from the beginning.

    Args:
        checkpoints: The run's checkpoints.
        run: The run's identity.
        environment: The current environment, from `normlab.runs.environment.environment`.
        warn: Called for each damaged checkpoint, and if versions have changed since the checkpoint was stored.

    Raises:
        CheckpointError: The checkpoint belongs to another run.
        StorageError: The checkpoint has a newer format, or can't be read.
    """
    checkpoints.tidy()
    found = checkpoints.newest(warn, discard=True)
    if found is None:
        if checkpoints.paths():
            warn(f"{checkpoints.folder}: every checkpoint is damaged; the run starts over")
            checkpoints.clear()
        return None
    if found.run != run:
        raise CheckpointError(
            f"{checkpoints.folder}: the checkpoint belongs to run {found.run[:10]}; expected run {run[:10]}; "
            "remove it, or use --again to start the run over"
        )
    now, before = fingerprint(environment), found.made_with
    changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if changed:
        listing = ", ".join(f"{name} was {before.get(name, 'absent')[:40]}" for name in changed)
        warn(f"changed since step {found.step}: {listing}; the last bits may differ from those of an uninterrupted run")
    return found


def open_history(path: Path, header: Header, checkpoint: Checkpoint | None, warn: Warn) -> HistoryWriter:
    """Return a writer for a new history, or for one that continues after a checkpoint.

    Args:
        path: The history file; its content is replaced by the history in the checkpoint.
        header: The first line of a new history.
        checkpoint: The checkpoint to continue from, None at the start of a run.
        warn: Called if the file is damaged.

    Raises:
        StorageError: The file can't be written.
    """
    if checkpoint is None:
        return HistoryWriter(path, header)
    try:
        read_history(path)
    except StorageError as error:
        warn(f"{error.args[0].split(';')[0]}; restored from the checkpoint")
    write_atomically(path, checkpoint.history)
    return HistoryWriter.resume(path, after_step=checkpoint.step)


def fingerprint(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions, plugin hashes and processor that the last bits of a run may depend on."""
    versions = {name: str(environment["versions"][name]) for name in PACKAGES}
    plugins = {f"plugin {Path(plugin['file']).name}": plugin["sha256"] for plugin in environment["plugins"]}
    return {**versions, **plugins, "processor": environment["processor"]}
