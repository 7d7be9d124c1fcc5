from __future__ import annotations

import numpy as np
import pytest
from datasets_support import contents, idx, isolate, packed, tiny, write

from normlab.datasets import payload, store
from normlab.datasets.payload import parse_idx
from normlab.errors import DataError

IMAGES = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path)


@pytest.fixture
def data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    return write(tmp_path / "data")


def test_an_idx_file_is_read():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(parse_idx(idx(array), "file", axes=3), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with ; expected 00 00 08 03"),
        (b"\x00\x00\x0d\x03" + bytes(12), "starts with 00 00 0d 03; expected 00 00 08 03"),
        (b"\x00\x00\x08\x01" + bytes(4), "starts with 00 00 08 01; expected 00 00 08 03, IDX with 3 axes"),
        (b"\x00\x00\x08\x03" + bytes(7), "ends after 11 bytes; expected a header of 16"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], r"holds 23 bytes of data; expected 24 for the shape \(2, 3, 4\)"),
        (idx(np.zeros((2, 3, 4), np.uint8)) + b"\0", "holds 25 bytes of data; expected 24"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "holds 0 bytes of data; expected 79,228,162"),
    ],
)
def test_a_malformed_idx_file_is_reported_by_name(data, message):
    with pytest.raises(DataError, match=f"^some/file: {message}"):
        parse_idx(data, "some/file", axes=3)


@pytest.mark.parametrize("gzipped", [True, False])
def test_files_are_read_gzipped_or_plain(monkeypatch, tmp_path, gzipped):
    write(tmp_path / "data", gzipped=gzipped)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    assert {name: one.contents for name, one in store.load(tiny()).items()} == contents()


def test_a_gzip_truncated_anywhere_is_reported(data_folder):
    path = data_folder / f"{IMAGES}.gz"
    whole = path.read_bytes()
    for length in range(2, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(
            DataError, match=r"damaged gzip file .*; expected 400 bytes when uncompressed; remove"
        ) as error:
            store.load(tiny())
        assert str(path) in str(error.value)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 399, 401])
def test_a_plain_file_of_the_wrong_length_is_reported(data_folder, length):
    (data_folder / f"{IMAGES}.gz").unlink()
    path = data_folder / IMAGES
    path.write_bytes((contents()[IMAGES] + b"\0")[:length])
    with pytest.raises(DataError, match=rf"{path}: holds {length} bytes \(uncompressed\); expected exactly 400"):
        store.load(tiny())


def test_every_flipped_bit_of_a_gzip_is_detected_or_harmless(data_folder):
    path = data_folder / f"{IMAGES}.gz"
    whole, detected, bits = path.read_bytes(), 0, range(0, 8 * len(path.read_bytes()), 13)
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert store.load(tiny())[IMAGES].contents == contents()[IMAGES]  # a bit of the gzip header
        except DataError:
            detected += 1
    assert detected >= len(bits) - 16  # time, level and system in the header have no effect


def test_every_flipped_bit_of_a_plain_file_is_detected(data_folder):
    (data_folder / f"{IMAGES}.gz").unlink()
    path, whole = data_folder / IMAGES, contents()[IMAGES]
    for bit in range(0, 8 * len(whole), 23):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            store.load(tiny())


def test_a_folder_instead_of_a_file_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"can't be read \(Is a directory\); expected 10 bytes of data"):
        payload.read(tmp_path, 10)


def test_a_gzip_with_too_much_data_is_reported(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(packed(bytes(1_000_000)))
    with pytest.raises(DataError, match=r"holds 1,000,000 bytes \(uncompressed\); expected exactly 10"):
        payload.read(path, 10)
