from __future__ import annotations

import json
import os
import threading

import pytest
from datasets_support import contents, isolate, tiny, write

from normlab.datasets import checksums, store
from normlab.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path)


@pytest.fixture
def data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    return write(tmp_path / "data", gzipped=False)


@pytest.fixture
def computed(monkeypatch):
    """Record every checksum that is computed, in order."""
    sizes, genuine = [], checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda data: sizes.append(len(data)) or genuine(data))
    return sizes


@pytest.mark.usefixtures("data_folder")
def test_a_verified_file_is_not_verified_again(computed):
    store.load(tiny())
    assert len(computed) == 4
    store.load(tiny())
    assert len(computed) == 4


def test_a_change_is_detected_although_size_and_time_are_unchanged(data_folder):
    store.load(tiny())
    path = data_folder / "t10k-images-idx3-ubyte"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=rf"{path}: has SHA-256 [0-9a-f]{{64}} .*; expected [0-9a-f]{{64}} for t10k"):
        store.load(tiny())


def test_a_rewritten_file_is_verified_once_more(data_folder, computed):
    store.load(tiny())
    path = data_folder / "t10k-images-idx3-ubyte"
    path.unlink()
    path.write_bytes(contents()["t10k-images-idx3-ubyte"])
    store.load(tiny())
    store.load(tiny())
    assert len(computed) == 5


def test_a_damaged_file_is_never_recorded(data_folder):
    path = data_folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x09")
    for _ in range(2):
        with pytest.raises(DataError, match="has SHA-256"):
            store.load(tiny())


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"a": 3}', b"\xff\xfe", b"null"])
@pytest.mark.usefixtures("data_folder")
def test_a_damaged_record_is_rebuilt(cache, computed, damaged):
    store.load(tiny())
    (cache / "verified.json").write_bytes(damaged)
    store.load(tiny())
    assert len(computed) == 8
    store.load(tiny())
    assert len(computed) == 8


@pytest.mark.usefixtures("data_folder")
def test_a_read_only_cache_only_costs_time(monkeypatch, tmp_path, computed):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store.load(tiny())
    store.load(tiny())
    assert len(computed) == 8


def test_a_failed_write_keeps_the_record_and_leaves_no_temporary_file(monkeypatch, cache, data_folder):
    store.load(tiny())
    before = (cache / "verified.json").read_bytes()
    (data_folder / "t10k-labels-idx1-ubyte").touch()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.load(tiny())
    assert (cache / "verified.json").read_bytes() == before
    assert {path.name for path in cache.iterdir()} <= {"verified.json", "verified.lock"}


def test_removed_files_are_dropped_from_the_record(cache, data_folder):
    store.load(tiny())
    for path in data_folder.iterdir():
        path.rename(path.with_suffix(".old"))
    write(data_folder)
    store.load(tiny())
    assert all(name.endswith(".gz") for name in json.loads((cache / "verified.json").read_text()))


def test_concurrent_threads_record_all_files(cache, tmp_path):
    folders = [write(tmp_path / str(number), gzipped=False) for number in range(6)]
    read = [[(file, store.payload.read(folder / file.name, file.size)) for file in tiny().files] for folder in folders]
    threads = [threading.Thread(target=checksums.verify, args=(part,)) for part in read]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads((cache / "verified.json").read_text())) == 24
