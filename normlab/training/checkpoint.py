"""Parameters and running state as files: NumPy's own format without pickle, and a manifest of checksums."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.compat import mxnet
from normlab.errors import CheckpointError
from normlab.storage import read_bytes, read_json, storage_errors, write_atomically, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from normlab.models.network import Network

VERSION = 1
PARAMETERS = "parameters.npz"
MANIFEST = "manifest.json"


def save(folder: Path, network: Network, step: int) -> None:
    """Write a network's parameters and running state.

    Args:
        folder: The run's `checkpoint` folder; made if it is not there.
        network: The network.
        step: Steps taken.

    Raises:
        StorageError: It can't be written.
    """
    mxnet().nd.waitall()
    arrays = {name: parameter.list_data()[0].asnumpy() for name, parameter in network.parameters.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
    write_atomically(folder / PARAMETERS, content)
    manifest = {"version": VERSION, "step": step, "sha256": {PARAMETERS: sha256(content).hexdigest()}}
    write_json(folder / MANIFEST, manifest)


def load(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the parameters that `save` wrote.

    Returns:
        Arrays by structural name.

    Raises:
        CheckpointError: A file is damaged.
        StorageError: A file can't be read.
    """
    manifest = read_json(folder / MANIFEST)
    content = read_bytes(folder / PARAMETERS)
    expected = manifest.get("sha256", {}).get(PARAMETERS) if isinstance(manifest, dict) else None
    found = sha256(content).hexdigest()
    if found != expected:
        raise CheckpointError(
            f"{folder / PARAMETERS}: damaged: SHA-256 is {found}; expected {expected}; run again with --again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
