"""Per-channel standardization of the data, by statistics of the train split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.datasets.base import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from normlab.datasets.base import Dataset

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
