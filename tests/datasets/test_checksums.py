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
def given(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "given"))
    return write(tmp_path / "given", gzipped=False)


@pytest.fixture
def computed(monkeypatch):
    """Every checksum that is computed, in order."""
    made, genuine = [], checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda data: made.append(len(data)) or genuine(data))
    return made


@pytest.mark.usefixtures("given")
def test_a_file_that_was_right_is_not_checked_again(computed):
    store.load(tiny())
    assert len(computed) == 4
    store.load(tiny())
    assert len(computed) == 4


def test_a_changed_file_is_noticed_although_size_and_time_are_as_before(given):
    store.load(tiny())
    path = given / "t10k-images-idx3-ubyte"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=rf"{path}: has SHA-256 [0-9a-f]{{64}} .*; expected [0-9a-f]{{64}} for t10k"):
        store.load(tiny())


def test_a_file_that_was_written_again_is_checked_once_more(given, computed):
    store.load(tiny())
    path = given / "t10k-images-idx3-ubyte"
    path.unlink()
    path.write_bytes(contents()["t10k-images-idx3-ubyte"])
    store.load(tiny())
    store.load(tiny())
    assert len(computed) == 5


def test_a_wrong_file_is_never_remembered(given):
    path = given / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x09")
    for _ in range(2):
        with pytest.raises(DataError, match="has SHA-256"):
            store.load(tiny())


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"a": 3}', b"\xff\xfe", b"null"])
@pytest.mark.usefixtures("given")
def test_a_torn_memory_is_made_anew(cache, computed, torn):
    store.load(tiny())
    (cache / "verified.json").write_bytes(torn)
    store.load(tiny())
    assert len(computed) == 8
    store.load(tiny())
    assert len(computed) == 8


@pytest.mark.usefixtures("given")
def test_a_cache_that_cannot_be_written_only_costs_time(monkeypatch, tmp_path, computed):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store.load(tiny())
    store.load(tiny())
    assert len(computed) == 8


def test_a_failed_write_leaves_the_memory_and_no_litter(monkeypatch, cache, given):
    store.load(tiny())
    before = (cache / "verified.json").read_bytes()
    (given / "t10k-labels-idx1-ubyte").touch()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.load(tiny())
    assert (cache / "verified.json").read_bytes() == before
    assert {path.name for path in cache.iterdir()} <= {"verified.json", "verified.lock"}


def test_files_that_are_gone_are_forgotten(cache, given):
    store.load(tiny())
    for path in given.iterdir():
        path.rename(path.with_suffix(".old"))
    write(given)
    store.load(tiny())
    assert all(name.endswith(".gz") for name in json.loads((cache / "verified.json").read_text()))


def test_many_at_once_remember_all(cache, tmp_path):
    folders = [write(tmp_path / str(number), gzipped=False) for number in range(6)]
    read = [[(file, store.payload.read(folder / file.name, file.size)) for file in tiny().files] for folder in folders]
    threads = [threading.Thread(target=checksums.verify, args=(part,)) for part in read]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads((cache / "verified.json").read_text())) == 24
