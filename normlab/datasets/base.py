"""The types of data sets: named splits of images and labels, checked because MXNet clips bad labels silently."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from normlab.errors import DataError

SPLITS = ("train", "validation", "test")
#: Scales bytes to pixels in [0, 1].
BYTE_SCALE = 1 / 255
Limit = Optional[PositiveInt]
_FEATURES, _IMAGES = 2, 4  # numbers of axes


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Attributes:
        images: `(N, C, H, W)` or `(N, features)`; uint8 from 0 to 255, or float32, which is not scaled.
        labels: `(N,)`, int32.

    Raises:
        DataError: The shapes, types or lengths are wrong.
    """

    images: NDArray[Any]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype not in (np.uint8, np.float32) or labels.dtype != np.int32:
            raise DataError(
                f"images are {images.dtype}, labels {labels.dtype}; expected uint8 or float32 images and int32 labels"
            )
        if images.ndim not in (_FEATURES, _IMAGES) or labels.ndim != 1:
            raise DataError(
                f"images have shape {images.shape}, labels {labels.shape}; "
                "expected (N, C, H, W) or (N, features), and (N,)",
            )
        if len(images) != len(labels):
            raise DataError(f"{len(images)} images but {len(labels)} labels; expected one label for each image")

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self) -> NDArray[np.float32]:
        """Return the images as float32: bytes scaled by 1/255, into [0, 1]; floats unscaled and not copied."""
        if self.images.dtype == np.float32:
            return self.images
        return np.multiply(self.images, np.float32(BYTE_SCALE), dtype=np.float32)

    def first(self, count: int | None) -> Split:
        """Return the first `count` examples as views, or all of them if `count` is None."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The splits of one data set.

    Attributes:
        name: Its name in specs.
        splits: `train` and `test`, and `validation` unless it would be empty.
        classes: Number of classes; labels are 0 to `classes - 1`.
        class_names: One name for each class.
        digest: SHA-256 (hex) that identifies the contents: equal digests mean equal examples in equal order.
        flips: Whether a horizontal flip keeps the label.

    Raises:
        DataError: A split is unknown, missing or empty, images differ in shape, a label is out of range, or a float is
            not finite.
    """

    name: str
    splits: Mapping[str, Split]
    classes: int
    class_names: tuple[str, ...]
    digest: str
    flips: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "splits", MappingProxyType(dict(self.splits)))
        self._check_structure()
        for name, split in self.splits.items():
            _check_values(f"data set {self.name}, split {name}", split, self.classes)

    def _check_structure(self) -> None:
        where = f"data set {self.name}"
        names, shapes = list(self.splits), {split.images.shape[1:] for split in self.splits.values()}
        if not {"train", "test"} <= set(names) <= set(SPLITS):
            raise DataError(f"{where}: has splits {', '.join(names)}; expected train, test and optionally validation")
        if len(shapes) > 1:
            raise DataError(f"{where}: images have shapes {sorted(shapes)}; expected one shape in all splits")
        if len(self.class_names) != self.classes:
            raise DataError(f"{where}: {len(self.class_names)} class names; expected {self.classes}, one per class")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: `(C, H, W)` or `(features,)`."""
        return self.splits["train"].images.shape[1:]


def _check_values(where: str, split: Split, classes: int) -> None:
    if len(split) == 0:
        raise DataError(f"{where}: is empty; expected at least one example")
    if split.images.size == 0:
        raise DataError(f"{where}: images have shape {split.images.shape}; expected no axis of length 0")
    wrong = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
    if len(wrong):
        raise DataError(
            f"{where}: label {split.labels[wrong[0]]} of example {wrong[0]} is out of range "
            f"({len(wrong)} such labels); expected 0 to {classes - 1}",
        )
    if split.images.dtype == np.float32 and not np.isfinite(split.images).all():
        bad = np.argwhere(~np.isfinite(split.images))[0]
        raise DataError(f"{where}: example {bad[0]} contains nan or infinity; expected finite numbers; clean the data")


def partition(name: str, train: Split, test: Split, validation: int, limit: int | None = None) -> dict[str, Split]:
    """Split the first `validation` training examples off as the validation split. All splits are views.

    Args:
        name: Name of the data set, for messages.
        train: All training examples.
        test: All test examples.
        validation: Number of validation examples; with 0 there is no validation split.
        limit: Keep only this many examples of each split.

    Raises:
        DataError: No training example would be left.
    """
    if not 0 <= validation < len(train):
        raise DataError(
            f"data set {name}: validation {validation} of {len(train)} training examples; "
            f"expected 0 to {len(train) - 1}, so that at least one is left to train on",
        )
    rest = Split(train.images[validation:], train.labels[validation:])
    splits = {"train": rest, **({"validation": train.first(validation)} if validation else {}), "test": test}
    return {key: split.first(limit) for key, split in splits.items()}


def hash_values(*parts: object) -> str:
    """Return the SHA-256 (hex) of JSON values that identify contents, such as checksums of files and split sizes."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def hash_contents(splits: Mapping[str, Split]) -> str:
    """Return the SHA-256 (hex) of every byte of the splits, with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, split in sorted(splits.items()):
        for array in (split.images, split.labels):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
