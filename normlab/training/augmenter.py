"""Augmentation on the device, keyed by seed and step.

Geometric transforms are described by two index maps: for each example, the source row of each row, and the source
column of each column; `OUTSIDE` means beyond the edge. So any sequence of transforms is one pair of maps, drawn and
composed on the host, and one gather of pixels on the device: rows by index, columns by a product with a one-hot matrix,
which is exact and cheaper than gathering pixel by pixel with MXNet's operators.
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

mx = mxnet()

Map = NDArray[np.int64]

OUTSIDE = -1
_IMAGE_AXES = 3  # (C, H, W)
_CHUNK = 1000  # examples that are converted to double precision at a time
_LEAST_DEVIATION = 1e-6  # of a channel that is not constant, relative to its mean


@dataclass(frozen=True)
class Crop:
    """Random shifts.

    Attributes:
        padding: Largest shift, in pixels.
    """

    padding: int

    def check(self, dataset: Dataset) -> None:
        """Refuse data that can't be cropped.

        Raises:
            SpecError: The examples are not images, or not larger than the padding.
        """
        _check_images(dataset)
        side = min(dataset.shape[1:])
        if self.padding >= side:
            raise SpecError(f"padding {self.padding}; expected less than the {side} pixels of the images")

    def transform(self, generator: np.random.Generator, rows: Map, columns: Map) -> tuple[Map, Map]:
        """Draw a shift for each example.

        Args:
            generator: The random generator of the step.
            rows: The row map so far, `(N, H)`.
            columns: The column map so far, `(N, W)`.

        Returns:
            The new row map and column map.
        """
        down, right = generator.integers(-self.padding, self.padding, (2, len(rows), 1), endpoint=True)
        return _shift(rows, down), _shift(columns, right)


@dataclass(frozen=True)
class Flip:
    """Random reflections.

    Attributes:
        probability: Probability with which an image is flipped.
        force: Whether to flip images even if the data set says that this changes labels.
    """

    probability: float
    force: bool

    def check(self, dataset: Dataset) -> None:
        """Refuse data whose labels a flip would change.

        Raises:
            SpecError: A flip changes labels and is not forced, or the examples are not images.
        """
        _check_images(dataset)
        if not dataset.flips and not self.force:
            raise SpecError(
                f"a flipped image of {dataset.name} does not keep its label; leave flip out, "
                "or write {name: flip, force: true}"
            )

    def transform(self, generator: np.random.Generator, rows: Map, columns: Map) -> tuple[Map, Map]:
        """Draw for each example whether it is flipped; see `Crop.transform`."""
        flipped = generator.random((len(rows), 1)) < self.probability
        return rows, np.where(flipped, columns[:, ::-1], columns)


def _check_images(dataset: Dataset) -> None:
    if len(dataset.shape) != _IMAGE_AXES:
        raise SpecError(f"the examples of {dataset.name} have shape {dataset.shape}; expected images, (C, H, W)")


def _shift(index: Map, shift: NDArray[Any]) -> Map:
    length = index.shape[1]
    source = np.arange(length) + shift
    inside = (source >= 0) & (source < length)
    return np.where(inside, np.take_along_axis(index, source.clip(0, length - 1), axis=1), OUTSIDE)


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel, shaped to be broadcast against `(N, C, ...)`.

    Attributes:
        mean: `(1, C, 1, 1)` or `(1, features)`, float32.
        deviation: The same shape; 1 for a constant channel.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def standardize(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `(pixels - mean) / deviation` as a new array."""
        result = pixels - self.mean
        result /= self.deviation
        return result


class Standardize:
    """Standardization by the statistics of the train split."""

    def check(self, dataset: Dataset) -> None:
        """Accept every data set: all have channels."""

    def statistics(self, train: Split) -> Statistics:
        """Compute the statistics of a split, in double precision."""
        axes = (0, *range(2, train.images.ndim))
        count = train.images.size // train.images.shape[1]
        mean = _sum_powers(train, axes, 0.0, 1) / count
        variance = _sum_powers(train, axes, mean, 2) / count
        deviation = np.sqrt(variance)
        # rounding gives a constant channel a deviation slightly above 0
        deviation = np.where(deviation > _LEAST_DEVIATION * np.abs(mean), deviation, 1.0)
        return Statistics(mean.astype(np.float32), deviation.astype(np.float32))


def _sum_powers(split: Split, axes: tuple[int, ...], center: Any, power: int) -> NDArray[np.float64]:
    """Sum powers of the distances of all pixels from a center."""
    total: Any = 0.0
    for start in range(0, len(split), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        pixels = Split(split.images[chunk], split.labels[chunk]).pixels().astype(np.float64)
        total = total + ((pixels - center) ** power).sum(axis=axes, keepdims=True)
    return total  # type: ignore[no-any-return] # a sum of arrays is an array


Transform = Union[Crop, Flip, Standardize]


class Augmenter:
    """Applies the transforms of a spec's `augmentation` to data. Without transforms it does nothing.

    Args:
        transforms: Transforms in order, each at most once.
        dataset: The data.
        seed: The run's seed.
        batch_size: Examples in a batch, divided evenly among the devices.
        devices: MXNet contexts.

    Attributes:
        geometric: The random geometric transforms among them.
        standardizes: Whether pixels are standardized.
    """

    def __init__(
        self, transforms: Sequence[Transform], dataset: Dataset, seed: int, batch_size: int, devices: Sequence[Any]
    ) -> None:
        self.geometric = [transform for transform in transforms if isinstance(transform, (Crop, Flip))]
        self._seed = seed
        self._batch_size = batch_size
        self._shape = dataset.shape
        statistics = [t.statistics(dataset.splits["train"]) for t in transforms if isinstance(t, Standardize)]
        self._statistics = statistics[0] if statistics else None
        self.standardizes = self._statistics is not None
        self._are_bytes = dataset.splits["train"].images.dtype == np.uint8 and not self.standardizes
        self._devices = [(device, self._borders(transforms, device, len(devices))) for device in devices]

    def store(self, split: Split, device: Any) -> Any:
        """Copy the images of a split to a device: standardized if the spec says so, or else unchanged."""
        return put(split.images if self._statistics is None else self._statistics.standardize(split.pixels()), device)

    def prepare(self, split: Split, device: Any) -> Any:
        """Copy the images of a split to a device as the network's inputs."""
        return put(split.pixels(), device) if self._are_bytes else self.store(split, device)

    def pixels(self, F: Any, stored: Any) -> Any:
        """Convert stored images, or part of them, to the network's inputs: bytes are scaled to [0, 1]."""
        return F.BlockGrad(F.cast(stored, dtype="float32") * BYTE_SCALE) if self._are_bytes else stored

    def inputs(self, step: int) -> list[tuple[Any, ...]]:
        """Return for each device the further arguments of `__call__` in this step."""
        if not self.geometric:
            return [() for _ in self._devices]
        channels, height, width = self._shape
        rows, columns = self.draw_maps(step)
        share = len(rows) // len(self._devices)
        # each plane of a batch has one more row, for pixels from outside
        planes = np.arange(share * channels).reshape(share, channels, 1) * (height + 1)
        found = []
        for index, (device, borders) in enumerate(self._devices):
            own = slice(index * share, (index + 1) * share)
            from_rows = planes + _point_to_border(rows[own], height)[:, None, :]
            maps = (from_rows, _point_to_border(columns[own], width))
            found.append((*[mx.nd.array(array, ctx=device, dtype="int32") for array in maps], *borders))
        return found

    def __call__(self, F: Any, batch: Any, *inputs: Any) -> Any:
        """Apply the geometric transforms to a batch.

        Args:
            F: `mx.nd` or `mx.sym`.
            batch: `(n, C, H, W)`, the device's part of the batch.
            *inputs: What `inputs` returned for the device.

        Returns:
            An array of the same shape, or the batch itself if there are no geometric transforms.
        """
        if not inputs:
            return batch
        _, height, width = self._shape
        rows, columns, below, beside = inputs
        planes = F.concat(batch, below, dim=2)
        lines = F.concat(F.take(F.reshape(planes, shape=(-1, width)), rows), beside, dim=3)
        lines = F.reshape(lines, shape=(0, -3, 0))
        transformed = F.batch_dot(lines, F.one_hot(columns, width + 1), transpose_b=True)
        return F.reshape(transformed, shape=(0, -4, -1, height, 0))

    def draw_maps(self, step: int) -> tuple[Map, Map]:
        """Draw the row map, `(N, H)`, and the column map, `(N, W)`, of the whole batch of a step."""
        _, height, width = self._shape
        rows, columns = (np.tile(np.arange(length), (self._batch_size, 1)) for length in (height, width))
        draws = generator(self._seed, "augment", step)
        for transform in self.geometric:
            rows, columns = transform.transform(draws, rows, columns)
        return rows, columns

    def digest(self, steps: int) -> str:
        """Return the SHA-256 of all maps that a run of `steps` steps draws."""
        digest = sha256()
        for step in range(steps):
            for index in self.draw_maps(step):
                digest.update(index.astype("<i4").tobytes())
        return digest.hexdigest()

    def _borders(self, transforms: Sequence[Transform], device: Any, devices: int) -> tuple[Any, ...]:
        """Return the row below and the column beside each plane that provide the pixels from outside."""
        if not self.geometric:
            return ()
        channels, height, width = self._shape
        kinds = [type(transform) for transform in transforms]
        outside = np.zeros((1, channels, 1, 1), np.float32)
        if self._statistics is not None and Crop in kinds and kinds.index(Crop) < kinds.index(Standardize):
            outside = self._statistics.standardize(outside)
        share = self._batch_size // devices
        shapes = (share, channels, 1, width), (share, channels, height, 1)
        return tuple(mx.nd.array(np.broadcast_to(outside, shape), ctx=device) for shape in shapes)


def _point_to_border(index: Map, length: int) -> Map:
    """Let the map take pixels from outside from the border, which follows the last row or column."""
    return np.where(index == OUTSIDE, length, index)
