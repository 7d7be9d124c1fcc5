"""Augmentation that moves pixels, as maps of rows and columns.

Where an image has been moved to is said by two arrays: for each example, from which row of it each row comes, and from
which column each column; `OUTSIDE` is beyond its edge. So any sequence of moves is one pair of maps, drawn and put
together on the host, and one gathering of pixels on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import SpecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from normlab.datasets.base import Dataset

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
