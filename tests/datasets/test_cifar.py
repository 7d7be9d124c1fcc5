from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets_support import isolate, sha256

from normlab.datasets import cifar
from normlab.datasets.source import File
from normlab.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    return isolate(monkeypatch, tmp_path)


def record(*labels: int, first: int) -> bytes:
    """Return label bytes, then red, green and blue planes of constant values."""
    return bytes(labels) + b"".join(bytes([first + channel]) * 1024 for channel in range(3))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Write small files of records and use them instead of the genuine ones."""

    def written(name: str, parts: dict[str, bytes]) -> None:
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for file, data in parts.items():
            (folder / file).write_bytes(data)
        files = tuple(File(file, len(data), sha256(data)) for file, data in parts.items())
        monkeypatch.setattr(cifar, name.upper(), replace(getattr(cifar, name.upper()), files=files, downloads=()))
        monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))

    return written


def test_records_of_several_files_are_joined_in_order(small):
    small(
        "cifar10",
        {
            "1.bin": record(3, first=10) + record(9, first=20),
            "2.bin": record(0, first=30),
            "t.bin": record(7, first=40),
        },
    )
    data = cifar.cifar10(validation=1)
    assert {name: split.labels.tolist() for name, split in data.splits.items()} == {
        "validation": [3],
        "train": [9, 0],
        "test": [7],
    }
    assert data.splits["train"].images[:, :, 5, 6].tolist() == [[20, 21, 22], [30, 31, 32]]
    assert (data.shape, data.classes, data.flips, data.class_names[9]) == ((3, 32, 32), 10, True, "truck")


def test_planes_are_red_green_and_blue_by_row(small):
    pixels = np.arange(3072).astype(np.uint8)
    small("cifar10", {"1.bin": b"\x01" + pixels.tobytes(), "t.bin": record(7, first=40)})
    image = cifar.cifar10(validation=0).splits["train"].images[0]
    assert np.array_equal(image, pixels.reshape(3, 32, 32))


def test_the_fine_label_is_the_class(small):
    small("cifar100", {"train.bin": record(19, 99, first=1), "test.bin": record(4, 0, first=5)})
    data = cifar.cifar100(validation=0)
    assert data.splits["train"].labels.tolist() == [99]
    assert data.splits["train"].images[0, :, 0, 0].tolist() == [1, 2, 3]
    assert (data.class_names[0], data.class_names[99], len(set(data.class_names))) == ("apple", "worm", 100)


def test_a_label_out_of_range_is_refused(small):
    small("cifar10", {"1.bin": record(10, first=1), "t.bin": record(7, first=1)})
    with pytest.raises(DataError, match="data set cifar10, split train: label 10 of example 0 is out of range"):
        cifar.cifar10(validation=0)


@pytest.mark.parametrize(("source", "width"), [(cifar.CIFAR10, 3073), (cifar.CIFAR100, 3074)])
def test_file_sizes_are_multiples_of_the_record_size(source, width):
    counts = [file.size / width for file in source.files]
    assert sum(counts[:-1]) == 50_000
    assert counts[-1] == 10_000


def test_class_names_are_sorted():
    assert list(cifar._FINE_NAMES) == sorted(cifar._FINE_NAMES)
    assert list(cifar._TEN_NAMES) == sorted(cifar._TEN_NAMES)
