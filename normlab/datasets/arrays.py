"""The user's own arrays in one `.npz` file, loaded without pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from normlab.datasets.base import Dataset, Limit, Split, hash_contents, partition
from normlab.datasets.source import Source
from normlab.errors import DataError

Validation = NonNegativeInt
Classes = Optional[PositiveInt]

ARRAYS = Source(
    name="arrays",
    description="Your own arrays: an .npz file with train_images, train_labels, test_images, test_labels.",
    licence="yours",
    citation="yours",
)
_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
_OPTIONAL = ("validation_images", "validation_labels")
_GREY = 3  # axes of images without a channel axis
_LARGEST = np.iinfo(np.int32).max


def arrays(
    *, path: str, validation: Validation = 0, classes: Classes = None, flips: bool = False, limit: Limit = None
) -> Dataset:
    """Load your own images and labels from an `.npz` file.

    The file holds `train_images`, `train_labels`, `test_images`, `test_labels` and, optionally, `validation_images` and
    `validation_labels`. Images are `(N, C, H, W)`, `(N, H, W)` (one channel) or `(N, features)`; uint8 is scaled by
    1/255, floating point is converted to float32 and not scaled. Labels are integers from 0, `(N,)`.

    Args:
        path: Path of the file, relative to the current folder.
        validation: Number of training examples, from the first on, for the validation split, if the file has none.
        classes: Number of classes; by default the largest label plus 1.
        flips: Whether a horizontal flip keeps the label.
        limit: Use only this many examples of each split, for quick trials.

    Raises:
        DataError: The file is missing, not an `.npz` file, or pickled, or an array has an unexpected type, shape or
            value.
    """
    parts = _read(Path(path).expanduser())
    splits = {name: _split(path, name, parts) for name in ("train", "validation", "test") if f"{name}_images" in parts}
    if "validation" not in splits:
        splits = partition("arrays", splits["train"], splits["test"], validation)
    elif validation:
        raise DataError(f"{path}: has a validation split of its own; expected validation 0, not {validation}")
    splits = {name: split.first(limit) for name, split in splits.items()}
    count = classes or max(int(split.labels.max(initial=0)) for split in splits.values()) + 1
    return Dataset(
        name="arrays",
        splits=splits,
        classes=count,
        class_names=tuple(str(label) for label in range(count)),
        digest=hash_contents(splits),
        flips=flips,
    )


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:  # given a path, NumPy doesn't close a file that it can't read
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array; expected an .npz file; write it with numpy.savez")
            _check_names(path, set(archive.files))
            return {name: archive[name] for name in (*_KEYS, *_OPTIONAL) if name in archive.files}
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error}); expected an .npz file") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: is damaged, not an .npz file, or holds pickled objects, which are never loaded "
            f"({str(error).splitlines()[0]}); expected arrays of numbers; write it with numpy.savez",
        ) from error


def _check_names(path: Path, names: set[str]) -> None:
    if not names.issuperset(_KEYS) or len(names.intersection(_OPTIONAL)) == 1:
        raise DataError(
            f"{path}: holds {', '.join(sorted(names)) or 'nothing'}; "
            f"expected {', '.join(_KEYS)}, and both of {', '.join(_OPTIONAL)} or neither",
        )


def _split(path: str, name: str, parts: dict[str, NDArray[Any]]) -> Split:
    try:
        return Split(_images(parts[f"{name}_images"]), _labels(parts[f"{name}_labels"]))
    except DataError as error:
        raise DataError(f"{path}: {name}: {error}") from error


def _images(images: NDArray[Any]) -> NDArray[Any]:
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"images are {images.dtype}; expected uint8 (0 to 255) or floating-point numbers")
    floats = images if images.dtype == np.uint8 else images.astype(np.float32, copy=False)
    return floats[:, np.newaxis] if images.ndim == _GREY else floats


def _labels(labels: NDArray[Any]) -> NDArray[np.int32]:
    if labels.dtype.kind not in "iu":
        raise DataError(f"labels are {labels.dtype}; expected integers from 0")
    if labels.size and (labels.min() < 0 or labels.max() > _LARGEST):
        raise DataError(f"labels range from {labels.min()} to {labels.max()}; expected integers from 0")
    return labels.astype(np.int32, copy=False)
