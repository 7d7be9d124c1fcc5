"""Augmentation of batches on the device, keyed by seed and step.

What is random is drawn on the host: two small maps for a batch, of rows and of columns (see `normlab.training.moves`).
The device gathers rows by the one and multiplies by a one-hot matrix of the other, which is exact, and cheaper than
any way to gather pixel by pixel with MXNet's operators.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.backend.devices import put
from normlab.backend.mxnet import mxnet
from normlab.datasets.base import OF_BYTE
from normlab.training.moves import OUTSIDE, Crop, Flip
from normlab.training.randomness import generator
from normlab.training.standardization import Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from normlab.datasets.base import Dataset, Split
    from normlab.training.augmentation import Transform

mx = mxnet()


class Augmenter:
    """Does to data what a spec's `augmentation` lists; with an empty list, nothing.

    Args:
        transforms: What is done, in order, each at most once.
        dataset: The data.
        seed: The run's seed.
        batch_size: Examples of a batch, shared evenly by the devices.
        devices: MXNet contexts.

    Attributes:
        moves: What of it moves pixels at random.
        standardizes: Whether it standardizes pixels.
    """

    def __init__(
        self, transforms: Sequence[Transform], dataset: Dataset, seed: int, batch_size: int, devices: Sequence[Any]
    ) -> None:
        self.moves = [transform for transform in transforms if isinstance(transform, (Crop, Flip))]
        self._seed = seed
        self._batch_size = batch_size
        self._shape = dataset.shape
        fits = [t.statistics(dataset.splits["train"]) for t in transforms if isinstance(t, Standardize)]
        self._statistics = fits[0] if fits else None
        self.standardizes = self._statistics is not None
        self._are_bytes = dataset.splits["train"].images.dtype == np.uint8 and not self.standardizes
        self._devices = [(device, self._borders(transforms, device, len(devices))) for device in devices]

    def stored(self, split: Split, device: Any) -> Any:
        """The images of a split on a device: as they are, or standardized, where that is listed."""
        return put(split.images if self._statistics is None else self._statistics.standardized(split.pixels()), device)

    def prepared(self, split: Split, device: Any) -> Any:
        """What networks take, of a whole split, on a device."""
        return put(split.pixels(), device) if self._are_bytes else self.stored(split, device)

    def pixels(self, F: Any, stored: Any) -> Any:
        """What networks take, from what `stored` gives, or some of it: bytes become numbers from 0 to 1."""
        return F.BlockGrad(F.cast(stored, dtype="float32") * OF_BYTE) if self._are_bytes else stored

    def inputs(self, step: int) -> list[tuple[Any, ...]]:
        """What `__call__` takes besides the batch in this step, for each device."""
        if not self.moves:
            return [() for _ in self._devices]
        channels, height, width = self._shape
        rows, columns = self.drawn(step)
        share = len(rows) // len(self._devices)
        # each plane of a batch has one row more, of what is outside
        planes = np.arange(share * channels).reshape(share, channels, 1) * (height + 1)
        found = []
        for index, (device, borders) in enumerate(self._devices):
            own = slice(index * share, (index + 1) * share)
            from_rows = planes + _with_border(rows[own], height)[:, None, :]
            maps = (from_rows, _with_border(columns[own], width))
            found.append((*[mx.nd.array(array, ctx=device, dtype="int32") for array in maps], *borders))
        return found

    def __call__(self, F: Any, batch: Any, *inputs: Any) -> Any:
        """Move the pixels of a batch.

        Args:
            F: `mx.nd` or `mx.sym`.
            batch: `(n, C, H, W)`, the device's part of the batch.
            *inputs: What `inputs` gives for the device.

        Returns:
            An array of the same shape; the batch itself where nothing moves.
        """
        if not inputs:
            return batch
        _, height, width = self._shape
        rows, columns, below, beside = inputs
        planes = F.concat(batch, below, dim=2)
        lines = F.concat(F.take(F.reshape(planes, shape=(-1, width)), rows), beside, dim=3)
        lines = F.reshape(lines, shape=(0, -3, 0))
        moved = F.batch_dot(lines, F.one_hot(columns, width + 1), transpose_b=True)
        return F.reshape(moved, shape=(0, -4, -1, height, 0))

    def drawn(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The maps of rows, `(N, H)`, and columns, `(N, W)`, of the whole batch of a step."""
        _, height, width = self._shape
        rows, columns = (np.tile(np.arange(length), (self._batch_size, 1)) for length in (height, width))
        draws = generator(self._seed, "augment", step)
        for move in self.moves:
            rows, columns = move.moved(draws, rows, columns)
        return rows, columns

    def digest(self, steps: int) -> str:
        """SHA-256 of all that is drawn in a run of `steps` steps."""
        whole = sha256()
        for step in range(steps):
            for index in self.drawn(step):
                whole.update(index.astype("<i4").tobytes())
        return whole.hexdigest()

    def _borders(self, transforms: Sequence[Transform], device: Any, devices: int) -> tuple[Any, ...]:
        """The row below and the column beside each plane that stand for what is outside."""
        if not self.moves:
            return ()
        channels, height, width = self._shape
        kinds = [type(transform) for transform in transforms]
        outside = np.zeros((1, channels, 1, 1), np.float32)
        if self._statistics is not None and Crop in kinds and kinds.index(Crop) < kinds.index(Standardize):
            outside = self._statistics.standardized(outside)
        share = self._batch_size // devices
        shapes = (share, channels, 1, width), (share, channels, height, 1)
        return tuple(mx.nd.array(np.broadcast_to(outside, shape), ctx=device) for shape in shapes)


def _with_border(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """A map in which what is outside comes after the last row or column."""
    return np.where(index == OUTSIDE, length, index)
