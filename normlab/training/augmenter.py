"""Augmentation on the device, keyed by seed and step.

Where an image is moved to is given by two arrays: for each example, the row of the image from which each row comes, and
the column from which each column comes; `OUTSIDE` is beyond the edge. So any sequence of moves is one pair of maps,
drawn and composed on the host, and one gather of pixels on the device: rows by index, columns by a product with a
one-hot matrix, which is exact and cheaper than gathering pixel by pixel with MXNet's operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from normlab.backend.devices import put
from normlab.backend.mxnet import mxnet
from normlab.datasets.base import BYTE_SCALE, Dataset, Split
from normlab.errors import SpecError
from normlab.training.randomness import generator

Map = NDArray[np.int64]


OUTSIDE = -1

_IMAGE = 3  # axes of one example: (C, H, W)


@dataclass(frozen=True)
class Crop:
    """Random shifts.

    Attributes:
        padding: Most pixels of a shift.
    """

    padding: int

    def check(self, dataset: Dataset) -> None:
        """Refuse data that it makes no sense for.

        Raises:
            SpecError: The examples are no images, or as small as the padding.
        """
        _check_images(dataset)
        side = min(dataset.shape[1:])
        if self.padding >= side:
            raise SpecError(f"padding {self.padding}; expected less than the {side} pixels of the images")

    def moved(self, generator: np.random.Generator, rows: Map, columns: Map) -> tuple[Map, Map]:
        """Draw a shift for each example.

        Args:
            generator: The random generator of the step.
            rows: The rows so far, `(N, H)`.
            columns: The columns so far, `(N, W)`.

        Returns:
            The new rows and columns.
        """
        down, right = generator.integers(-self.padding, self.padding, (2, len(rows), 1), endpoint=True)
        return _shifted(rows, down), _shifted(columns, right)


@dataclass(frozen=True)
class Flip:
    """Random reflections.

    Attributes:
        probability: Probability with which an image is turned.
        force: Whether to turn it whatever the data set says.
    """

    probability: float
    force: bool

    def check(self, dataset: Dataset) -> None:
        """Refuse data whose labels do not survive it.

        Raises:
            SpecError: They don't, and it is not forced; or the examples are no images.
        """
        _check_images(dataset)
        if not dataset.flips and not self.force:
            raise SpecError(
                f"an image of {dataset.name} turned left to right does not keep its label; leave flip out, "
                "or write {name: flip, force: true}"
            )

    def moved(self, generator: np.random.Generator, rows: Map, columns: Map) -> tuple[Map, Map]:
        """Draw for each example whether it is turned; see `Crop.moved`."""
        turned = generator.random((len(rows), 1)) < self.probability
        return rows, np.where(turned, columns[:, ::-1], columns)


def _check_images(dataset: Dataset) -> None:
    if len(dataset.shape) != _IMAGE:
        raise SpecError(f"the examples of {dataset.name} have shape {dataset.shape}; expected images, (C, H, W)")


def _shifted(index: Map, shift: NDArray[Any]) -> Map:
    length = index.shape[1]
    source = np.arange(length) + shift
    inside = (source >= 0) & (source < length)
    return np.where(inside, np.take_along_axis(index, source.clip(0, length - 1), axis=1), OUTSIDE)


_AT_ONCE = 1000  # examples in double precision at a time
_LEAST = 1e-6  # deviation of a channel that changes, relative to its mean


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel, shaped to be broadcast against `(N, C, ...)`.

    Attributes:
        mean: `(1, C, 1, 1)`, or `(1, features)`, float32.
        deviation: The same shape; 1 where a channel never changes.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def standardized(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(pixels - mean) / deviation`, a new array."""
        result = pixels - self.mean
        result /= self.deviation
        return result


class Standardize:
    """Standardization that has yet to see the data."""

    def check(self, dataset: Dataset) -> None:
        """Refuse nothing: every data set has channels."""

    def statistics(self, train: Split) -> Statistics:
        """The statistics of a split, summed in double precision."""
        axes = (0, *range(2, train.images.ndim))
        count = train.images.size // train.images.shape[1]
        mean = _sum(train, axes, 0.0, 1) / count
        variance = _sum(train, axes, mean, 2) / count
        deviation = np.sqrt(variance)
        # the mean of equal numbers is only nearly that number
        deviation = np.where(deviation > _LEAST * np.abs(mean), deviation, 1.0)
        return Statistics(mean.astype(np.float32), deviation.astype(np.float32))


def _sum(split: Split, axes: tuple[int, ...], center: Any, power: int) -> NDArray[np.float64]:
    """Sum of powers of the distances of all pixels from a center."""
    total: Any = 0.0
    for start in range(0, len(split), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        pixels = Split(split.images[some], split.labels[some]).pixels().astype(np.float64)
        total = total + ((pixels - center) ** power).sum(axis=axes, keepdims=True)
    return total  # type: ignore[no-any-return] # sums of arrays are arrays


mx = mxnet()


Transform = Union[Crop, Flip, Standardize]


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
        return F.BlockGrad(F.cast(stored, dtype="float32") * BYTE_SCALE) if self._are_bytes else stored

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
