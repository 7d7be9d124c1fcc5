"""How a run that was stopped is taken up: which checkpoint, with which history, and what may have changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from normlab.errors import CheckpointError, StorageError
from normlab.runs.files import write_atomically
from normlab.runs.history import Header, HistoryWriter
from normlab.runs.history_file import read_history

if TYPE_CHECKING:
    from normlab.runs.checkpoint import Checkpoint, Generations

Warn = Callable[[str], None]

#: Packages of which the last bits of a run may depend.
PACKAGES = ("normlab", "mxnet", "gluoncv", "numpy", "scipy")


def resumable(generations: Generations, run: str, surroundings: Mapping[str, Any], warn: Warn) -> Checkpoint | None:
    """The newest whole checkpoint of a run; without one, the run begins anew and None is given.

    Args:
        generations: The run's checkpoints.
        run: The run's identity.
        surroundings: What `normlab.runs.environment.environment` gave for this process.
        warn: Is told of damaged checkpoints, and of versions that are not those of the checkpoint.

    Raises:
        CheckpointError: The checkpoint is another run's.
        StorageError: It is of a newer format, or can't be read.
    """
    generations.tidy()
    found = generations.newest(warn, discard=True)
    if found is None:
        if generations.paths():
            warn(f"{generations.folder}: no checkpoint in it is whole; the run begins anew")
            generations.clear()
        return None
    if found.run != run:
        raise CheckpointError(
            f"{generations.folder}: of run {found.run[:10]}; expected {run[:10]}; "
            "remove it, or begin the run anew with --again"
        )
    now = made_with(surroundings)
    changed = sorted(name for name in {*now, *found.made_with} if now.get(name) != found.made_with.get(name))
    if changed:
        told = ", ".join(f"{name} was {found.made_with.get(name, 'absent')[:40]}" for name in changed)
        warn(f"changed since step {found.step}: {told}; the last bits may differ from those of a run never stopped")
    return found


def take_up(path: Path, header: Header, checkpoint: Checkpoint | None, warn: Warn) -> HistoryWriter:
    """The writer of a run's history: a new one, or one that goes on from a checkpoint.

    Args:
        path: The history file, which is brought to what the checkpoint holds of it.
        header: The first line of a new history.
        checkpoint: Where the run goes on, None at its start.
        warn: Is told if the file was damaged.

    Raises:
        StorageError: It can't be written.
    """
    if checkpoint is None:
        return HistoryWriter(path, header)
    try:
        read_history(path)
    except StorageError as error:
        warn(f"{error.args[0].split(';')[0]}; it is taken from the checkpoint")
    write_atomically(path, checkpoint.history)
    return HistoryWriter.resume(path, after_step=checkpoint.step)


def made_with(surroundings: Mapping[str, Any]) -> dict[str, str]:
    """Of the surroundings of a run, what its last bits may depend on, as text by name."""
    versions = {name: str(surroundings["versions"][name]) for name in PACKAGES}
    plugins = {f"plugin {Path(plugin['file']).name}": plugin["sha256"] for plugin in surroundings["plugins"]}
    return {**versions, **plugins, "processor": surroundings["processor"]}
