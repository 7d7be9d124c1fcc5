from __future__ import annotations

import numpy as np
import pytest

from normlab.datasets import Dataset, Split
from normlab.errors import DataError


def split(labels=(0, 1), images=None):
    images = np.zeros((len(labels), 4), np.float32) if images is None else images
    return Split(images, np.array(labels, np.int32))


def dataset(**changed):
    fields = {"splits": {"train": split(), "test": split()}, "classes": 2, "class_names": ("a", "b"), **changed}
    return Dataset(name="mine", digest="0", **fields)


def test_a_valid_data_set_is_accepted():
    data = dataset()
    assert (data.shape, len(data.splits["train"]), data.flips) == ((4,), 2, True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"splits": {"train": split()}}, "has splits train; expected train, test and optionally validation"),
        ({"splits": {"train": split(), "test": split(), "extra": split()}}, "has splits train, test, extra"),
        ({"class_names": ("a",)}, "1 class names; expected 2"),
        ({"splits": {"train": split((0, 2)), "test": split()}}, "split train: label 2 of example 1 is out of range"),
        ({"splits": {"train": split(), "test": split((0, -1))}}, "split test: label -1 of example 1 is out of range"),
        ({"splits": {"train": split(), "test": split(())}}, "split test: is empty"),
        (
            {"splits": {"train": split(), "test": split(images=np.array([[0.0] * 4, [0, 0, np.inf, 0]], np.float32))}},
            "split test: example 1 contains nan or infinity",
        ),
        (
            {"splits": {"train": split(), "test": split(images=np.zeros((2, 5), np.float32))}},
            r"shapes \[\(4,\), \(5,\)\]",
        ),
    ],
)
def test_an_invalid_data_set_is_refused(changed, message):
    with pytest.raises(DataError, match=message):
        dataset(**changed)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4)), np.zeros(2, np.int32), "images are float64"),
        (np.zeros((2, 4), np.uint8), np.zeros(2, np.int64), "labels int64"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32), "expected"),
        (np.zeros((2, 4), np.uint8), np.zeros((2, 1), np.int32), "expected"),
        (np.zeros((2, 4), np.uint8), np.zeros(3, np.int32), "2 images but 3 labels"),
    ],
)
def test_a_split_of_wrong_types_or_shapes_is_refused(images, labels, message):
    with pytest.raises(DataError, match=message):
        Split(images, labels)


def test_bytes_are_scaled_by_a_255th():
    images = np.arange(256, dtype=np.uint8).reshape(1, 256)
    pixels = Split(images, np.zeros(1, np.int32)).pixels()
    assert np.allclose(pixels, np.arange(256) / 255, rtol=0, atol=1e-7)
    assert pixels[0, 255] == 1
    assert len(np.unique(pixels)) == 256


def test_splits_can_not_be_replaced():
    with pytest.raises(TypeError, match="does not support item assignment"):
        dataset().splits["train"] = split()
