from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from normlab.datasets.arrays import arrays
from normlab.errors import DataError


def parts(**changed) -> dict[str, np.ndarray]:
    arrays = {
        "train_images": np.arange(6 * 12, dtype=np.uint8).reshape(6, 3, 2, 2),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 2, 2),
        "test_labels": np.array([2, 1]),
    }
    return {name: array for name, array in {**arrays, **changed}.items() if array is not None}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "mine.npz"

    def save(**changed) -> str:
        np.savez(path, **parts(**changed))
        return str(path)

    return save


def test_arrays_are_read(saved):
    data = arrays(path=saved())
    assert set(data.splits) == {"train", "test"}
    assert np.array_equal(data.splits["train"].images, parts()["train_images"])
    assert data.splits["test"].labels.tolist() == [2, 1]
    assert data.splits["test"].labels.dtype == np.int32
    assert (data.classes, data.class_names, data.shape, data.flips) == (3, ("0", "1", "2"), (3, 2, 2), False)


def test_compressed_files_are_read(tmp_path):
    np.savez_compressed(tmp_path / "mine.npz", **parts())
    assert arrays(path=str(tmp_path / "mine.npz")).digest == arrays(path=str(tmp_path / "mine.npz")).digest


def test_the_validation_split_is_split_off_or_in_the_file(saved):
    assert arrays(path=saved(), validation=2).splits["validation"].labels.tolist() == [0, 1]
    own = {"validation_images": np.zeros((1, 3, 2, 2), np.uint8), "validation_labels": np.array([1])}
    assert arrays(path=saved(**own)).splits["validation"].labels.tolist() == [1]
    with pytest.raises(DataError, match="has a validation split of its own; expected validation 0, not 2"):
        arrays(path=saved(**own), validation=2)


def test_images_may_be_features_or_lack_a_channel_axis(saved):
    grey = arrays(path=saved(train_images=np.zeros((6, 4, 5), np.uint8), test_images=np.zeros((2, 4, 5), np.uint8)))
    flat = arrays(path=saved(train_images=np.zeros((6, 7), np.float64), test_images=np.zeros((2, 7), np.float16)))
    assert (grey.shape, flat.shape) == ((1, 4, 5), (7,))
    assert flat.splits["train"].pixels().dtype == np.float32


def test_floats_are_not_scaled(saved):
    images = np.linspace(-3, 300, 6 * 4, dtype=np.float32).reshape(6, 4)
    data = arrays(path=saved(train_images=images, test_images=images[:2]))
    assert np.array_equal(data.splits["train"].pixels(), images)


def test_limit_and_classes_are_applied(saved):
    data = arrays(path=saved(), limit=1, classes=7, flips=True)
    assert (len(data.splits["train"]), len(data.splits["test"]), data.classes, data.flips) == (1, 1, 7, True)


def test_the_digest_depends_on_the_contents(saved):
    other = parts()["train_images"].copy()
    other[3, 2, 1, 1] ^= 1
    digests = {
        arrays(path=saved()).digest,
        arrays(path=saved(), limit=5).digest,
        arrays(path=saved(train_images=other)).digest,
        arrays(path=saved(train_labels=np.array([0, 1, 2, 0, 1, 1]))).digest,
    }
    assert len(digests) == 4
    assert arrays(path=saved()).digest in digests


def test_pickled_objects_are_refused_and_never_loaded(saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    trap = np.empty(6, object)
    trap[:] = [Trap() for _ in range(6)]
    with pytest.raises(DataError, match="holds pickled objects, which are never loaded"):
        arrays(path=saved(train_labels=trap))
    (tmp_path / "mine.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="holds pickled objects, which are never loaded"):
        arrays(path=str(tmp_path / "mine.npz"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"test_labels": None},
            "holds test_images, train_images, train_labels; expected train_images, .*, test_labels",
        ),
        (
            {"validation_images": np.zeros((1, 3, 2, 2), np.uint8)},
            "both of validation_images, validation_labels or neither",
        ),
        ({"train_images": np.zeros((6, 4), np.int64)}, "train: images are int64; expected uint8"),
        ({"train_images": np.zeros(6, np.uint8)}, r"train: images have shape \(6,\).*; expected \(N, C, H, W\) or"),
        ({"train_images": np.zeros((5, 3, 2, 2), np.uint8)}, "train: 5 images but 6 labels"),
        ({"train_labels": np.zeros(6)}, "train: labels are float64; expected integers"),
        ({"train_labels": np.zeros((6, 1), int)}, r"labels \(6, 1\); expected"),
        (
            {"train_labels": np.array([0, 1, -1, 0, 0, 0])},
            "train: labels range from -1 to 1; expected integers from 0",
        ),
        ({"train_labels": np.array([0, 1, 2**31, 0, 0, 0])}, "train: labels range from 0 to 2147483648"),
        ({"test_images": np.zeros((2, 3, 2, 3), np.uint8)}, "images have shapes .*; expected one shape in all splits"),
        ({"test_images": np.zeros((0, 3, 2, 2), np.uint8), "test_labels": np.zeros(0, int)}, "split test: is empty"),
        (
            {"train_images": np.full((6, 4), np.nan), "test_images": np.zeros((2, 4))},
            "example 0 contains nan",
        ),
        ({"train_images": np.zeros((6, 0)), "test_images": np.zeros((2, 0))}, "expected no axis of length 0"),
    ],
)
def test_unsuitable_arrays_are_refused_in_one_line(saved, changed, message):
    with pytest.raises(DataError, match=message) as error:
        arrays(path=saved(**changed))
    assert len(str(error.value).splitlines()) == 1


def test_a_label_beyond_the_classes_is_refused(saved):
    with pytest.raises(
        DataError, match=r"split train: label 2 of example 2 is out of range \(2 such labels\); expected 0 to 1"
    ):
        arrays(path=saved(), classes=2)


def test_a_file_that_is_not_npz_is_refused(tmp_path):
    path = tmp_path / "file.npz"
    with pytest.raises(DataError, match=r"can't be read \(No such file or directory\); expected an \.npz file"):
        arrays(path=str(path))
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"is a single array; expected an \.npz file"):
        arrays(path=str(tmp_path / "one.npy"))
    for data in (b"", b"text", b"PK\x03\x04" + bytes(40)):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"file.npz: (is damaged|can't be read)"):
            arrays(path=str(path))


def test_a_file_truncated_anywhere_is_refused(saved):
    path = saved()
    with open(path, "rb") as file:  # noqa: PTH123 - a plain name
        whole = file.read()
    for length in range(0, len(whole) - 1, 97):
        with open(path, "wb") as file:  # noqa: PTH123 - a plain name
            file.write(whole[:length])
        with pytest.raises(DataError, match=r"mine.npz: (is damaged|can't be read)"):
            arrays(path=path)


def test_a_flipped_bit_is_detected_by_the_checksum_of_the_zip(saved):
    path = saved()
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("train_images.npy").header_offset + 200
    with open(path, "r+b") as file:  # noqa: PTH123 - a plain name
        file.seek(start)
        byte = file.read(1)[0]
        file.seek(start)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DataError, match="Bad CRC-32"):
        arrays(path=path)
