from __future__ import annotations

import gzip
import shutil
from dataclasses import replace

import numpy as np
import pytest
from datasets_support import isolate, tiny, write

from normlab.datasets import mnist
from normlab.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", "/dev/null/none")  # without a record every checksum is computed
        return mnist.mnist()


def test_mnist_is_split_as_in_the_course_notebook(digits):
    assert {name: split.images.shape for name, split in digits.splits.items()} == {
        "train": (55_000, 1, 28, 28),
        "validation": (5_000, 1, 28, 28),
        "test": (10_000, 1, 28, 28),
    }
    assert digits.splits["validation"].labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert digits.splits["train"].labels[:5].tolist() == [7, 3, 4, 6, 1]
    assert digits.splits["test"].labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert (digits.classes, digits.shape, digits.flips) == (10, (1, 28, 28), False)


def test_pixels_are_bytes_scaled_by_a_255th_in_float32(digits):
    split = digits.splits["test"]
    pixels = split.pixels()
    assert pixels.dtype == np.float32
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert np.array_equal(pixels[0], split.images[0].astype(np.float32) * np.float32(1 / 255))


def test_mean_and_deviation_are_those_quoted_everywhere(digits):
    """The 60,000 training images have mean 0.1307 and standard deviation 0.3081."""
    images = np.concatenate([digits.splits[name].images.ravel() for name in ("validation", "train")])
    assert round(images.mean() / 255, 4) == 0.1307
    assert round(images.std() / 255, 4) == 0.3081


def test_images_are_not_copied(digits):
    train, validation = digits.splits["train"].images, digits.splits["validation"].images
    assert train.base is not None
    assert train.__array_interface__["data"][0] - validation.__array_interface__["data"][0] == 5_000 * 784


def test_limit_keeps_the_first_examples_of_each_split():
    whole, small = mnist.mnist(), mnist.mnist(validation=10, limit=3)
    assert {name: len(split) for name, split in small.splits.items()} == {"train": 3, "validation": 3, "test": 3}
    assert np.array_equal(small.splits["test"].images, whole.splits["test"].images[:3])
    assert small.splits["train"].labels.tolist() == whole.splits["validation"].labels[10:13].tolist()


def test_validation_0_gives_no_validation_split():
    assert set(mnist.mnist(validation=0, limit=5).splits) == {"train", "test"}


@pytest.mark.parametrize("validation", [-1, 60_000])
def test_validation_must_leave_training_examples(validation):
    with pytest.raises(DataError, match=f"validation {validation} of 60000 training examples; expected 0 to 59999"):
        mnist.mnist(validation=validation)


def test_the_digest_identifies_the_contents(digits):
    assert digits.digest == mnist.mnist().digest
    assert len({mnist.mnist(validation=v, limit=n).digest for v in (0, 9) for n in (None, 4)} | {digits.digest}) == 5


def test_loading_twice_gives_equal_read_only_arrays(digits):
    again = mnist.mnist()
    assert np.array_equal(digits.splits["train"].images, again.splits["train"].images)
    with pytest.raises(ValueError, match="read-only"):
        again.splits["train"].images[0] = 0


def test_a_flipped_bit_in_the_shipped_images_is_detected(monkeypatch, tmp_path):
    folder = tmp_path / "mnist"
    shutil.copytree(mnist.MNIST.shipped, folder)
    path = folder / "t10k-images-idx3-ubyte.gz"
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[4_000_000] ^= 1
    path.write_bytes(gzip.compress(bytes(data), 1))
    monkeypatch.setattr(mnist, "MNIST", replace(mnist.MNIST, shipped=folder))
    with pytest.raises(DataError) as error:
        mnist.mnist()
    expected = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    assert str(error.value).startswith(f"{path}: has SHA-256 ")
    assert f"expected {expected} for t10k-images-idx3-ubyte; reinstall normlab" in str(error.value)


def test_missing_shipped_files_are_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "MNIST", replace(mnist.MNIST, shipped=tmp_path / "gone"))
    with pytest.raises(DataError, match=r"no files found; searched .*gone.*NORMLAB_DATA.*") as error:
        mnist.mnist()
    assert "reinstall normlab" in str(error.value)
    assert len(str(error.value).splitlines()) <= 5


def test_fashion_mnist_has_the_format_of_mnist(monkeypatch, tmp_path):
    write(tmp_path / "data" / "fashion_mnist")
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "FASHION_MNIST", tiny())
    clothes = mnist.fashion_mnist(validation=4)
    assert {name: len(split) for name, split in clothes.splits.items()} == {"train": 20, "validation": 4, "test": 8}
    assert (clothes.name, clothes.class_names[9], clothes.flips) == ("fashion_mnist", "Ankle boot", True)


def test_genuine_fashion_mnist_of_the_debian_package():
    if not mnist.FASHION_MNIST.installed[0].is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    clothes = mnist.fashion_mnist()
    assert clothes.splits["validation"].labels[:5].tolist() == [9, 0, 0, 3, 0]
    images = np.concatenate([clothes.splits[name].images.ravel() for name in ("validation", "train")])
    assert round(images.mean() / 255, 4) == 0.2860
