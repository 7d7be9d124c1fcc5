from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pooch
import pytest
from datasets_support import contents, gzips, isolate, served, tar, tiny, tiny_archive, write

from normlab.datasets import store
from normlab.errors import DataError, StorageError

NOWHERE = "http://127.0.0.1:9"  # the discard port, on which nothing listens


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path) / "datasets" / "fashion_mnist"


def loaded(source):
    return {name: one.contents for name, one in store.load(source).items()}


def test_missing_files_are_downloaded_once(cache):
    with served(gzips()) as (home, asked):
        assert loaded(tiny(home)) == contents()
        assert loaded(tiny(home)) == contents()
    assert asked == dict.fromkeys(gzips(), 1)
    assert sorted(path.name for path in cache.iterdir()) == sorted([".lock", *gzips()])


def test_only_missing_files_are_downloaded(monkeypatch, tmp_path):
    folder = write(tmp_path / "data" / "fashion_mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    with served(gzips()) as (home, asked):
        assert loaded(tiny(home)) == contents()
    assert asked == {"t10k-labels-idx1-ubyte.gz": 1}


def test_further_urls_are_tried_if_the_first_fails():
    with served(gzips()) as (home, asked):
        assert loaded(tiny(NOWHERE, f"{home}/gone", home)) == contents()
    assert asked["gone/t10k-labels-idx1-ubyte.gz"] == asked["t10k-labels-idx1-ubyte.gz"] == 1


def test_eight_processes_with_one_empty_cache_download_once():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from datasets_support import tiny, contents\n"
        "from normlab.datasets import store\n"
        "assert {n: p.contents for n, p in store.load(tiny(sys.argv[2])).items()} == contents()\n"
    )
    here = Path(__file__).parents[1]
    with served(gzips(), seconds=0.2) as (home, asked):
        command = [sys.executable, "-c", code, str(here), home]
        processes = [subprocess.Popen(command, cwd=here.parent, stderr=subprocess.PIPE) for _ in range(8)]
        errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, errors
    assert asked == dict.fromkeys(gzips(), 1)


def test_without_a_network_the_message_names_every_place_and_what_to_do(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    source = replace(tiny(NOWHERE), installed=(tmp_path / "installed",))
    with pytest.raises(DataError) as error:
        store.load(source)
    text = str(error.value)
    for place in (tmp_path / "data" / "fashion_mnist", tmp_path / "data", tmp_path / "installed", cache):
        assert f"{place} (absent)" in text
    assert re.search(rf"{NOWHERE}/train-images-idx3-ubyte.gz: Failed to establish .*Connection refused", text)
    assert "put the files, gzipped or not, into a folder DIR/fashion_mnist and set NORMLAB_DATA=DIR" in text
    assert "dataset-fashion-mnist" in text
    assert len(text.splitlines()) <= 5
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_the_message_names_an_unset_variable():
    with pytest.raises(DataError, match=r"no files found; searched \$NORMLAB_DATA \(not set\), "):
        store.load(tiny(NOWHERE))


def test_a_missing_page_is_reported():
    with (
        served({}) as (home, _),
        pytest.raises(DataError, match=rf"{home}/train-images-idx3-ubyte.gz: 404 .*Not Found"),
    ):
        store.load(tiny(home))


def test_a_download_with_wrong_contents_is_refused(cache):
    wrong = dict.fromkeys(gzips(), b"a login page of a hotel's network")
    with served(wrong) as (home, _), pytest.raises(DataError) as error:
        store.load(tiny(home))
    source = tiny(home)
    assert source.downloads[0].sha256 in str(error.value)
    assert "does not match the known hash" in str(error.value)
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_partial_files_of_a_killed_process_are_removed(cache):
    (cache / ".partial").mkdir(parents=True)
    (cache / ".partial" / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    with served(gzips()) as (home, _):
        assert loaded(tiny(home)) == contents()
    assert not (cache / ".partial").exists()


def test_a_cache_folder_that_can_not_be_created_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with served(gzips()) as (home, asked), pytest.raises(StorageError, match=r"can't be written \(Not a directory\)"):
        store.load(tiny(home))
    assert not asked


def test_a_full_disk_is_not_reported_as_a_network_error(monkeypatch, cache):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(StorageError, match=r"can't be written \(No space left on device\); .*set NORMLAB_DATA=DIR"):
        store.load(tiny(NOWHERE))
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_damage_in_the_cache_is_reported_and_repaired(cache):
    with served(gzips()) as (home, asked):
        store.load(tiny(home))
        path = cache / "t10k-labels-idx1-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-2])
        with pytest.raises(DataError, match="normlab data fetch fashion_mnist"):
            store.load(tiny(home))
        assert path in store.repair(tiny(home))
        assert loaded(tiny(home)) == contents()
    assert asked["t10k-labels-idx1-ubyte.gz"] == 2
    assert asked["train-images-idx3-ubyte.gz"] == 1


def test_repair_never_removes_a_file_of_the_user(monkeypatch, tmp_path):
    folder = write(tmp_path / "data")
    monkeypatch.setenv("NORMLAB_DATA", str(folder))
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(b"\x1f\x8bmine")
    with served(gzips()) as (home, asked), pytest.raises(DataError, match=str(path)):
        store.repair(tiny(home))
    assert path.read_bytes() == b"\x1f\x8bmine"
    assert not asked


def test_an_archive_is_downloaded_and_only_its_files_are_kept(cache):
    source, archive = tiny_archive()
    with served({"tiny.tar.gz": archive}) as (home, asked):
        source, _ = tiny_archive(home)
        assert loaded(source) == contents()
        assert loaded(source) == contents()
    assert asked == {"tiny.tar.gz": 1}
    assert sorted(path.name for path in cache.iterdir()) == sorted([".lock", *contents()])


@pytest.mark.parametrize("where", ["fashion_mnist", "fashion-mnist", "."])
def test_an_archive_of_the_user_is_unpacked(monkeypatch, tmp_path, where):
    source, archive = tiny_archive(NOWHERE)
    (tmp_path / where).mkdir(exist_ok=True)
    (tmp_path / where / "tiny.tar.gz").write_bytes(archive)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    assert loaded(source) == contents()
    assert (tmp_path / where / "tiny.tar.gz").read_bytes() == archive


def test_a_damaged_archive_of_the_user_is_reported(monkeypatch, tmp_path):
    source, archive = tiny_archive(NOWHERE)
    (tmp_path / "tiny.tar.gz").write_bytes(archive[:-1] + b"?")
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"tiny.tar.gz: has SHA-256 .*; expected SHA-256 {source.downloads[0].sha256}"):
        store.load(source)


def test_an_archive_with_members_outside_the_folder_leaves_no_files(monkeypatch, tmp_path, cache):
    source, _ = tiny_archive(NOWHERE)
    evil = tar({f"tiny/{name}": data for name, data in contents().items()} | {"../../evil": b"evil"})
    monkeypatch.setattr(store, "_find_archive", lambda *_: tmp_path / "evil.tar.gz")
    (tmp_path / "evil.tar.gz").write_bytes(evil)
    with pytest.raises(DataError, match="points outside"):
        store.load(source)
    assert [path.name for path in cache.iterdir()] == [".lock"]
    assert not [path for path in tmp_path.rglob("evil") if path.name == "evil"]


def test_progress_is_shown_only_on_a_terminal():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from datasets_support import tiny, served, gzips\n"
        "from normlab.datasets import store\n"
        "with served(gzips()) as (home, _): store.load(tiny(home))\n"
    )
    here = Path(__file__).parents[1]
    command = [sys.executable, "-c", code, str(here)]
    plain = subprocess.run(command, cwd=here.parent, capture_output=True, check=True)
    assert (plain.stdout, plain.stderr) == (b"", b"")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 100, 0, 0))
    environment = {**os.environ, "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"] + "2"}
    subprocess.run(command, cwd=here.parent, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000)
    assert re.search(rb"downloading http://127.0.0.1:\d+/train-images-idx3-ubyte.gz\r\n", shown)
    assert b"100%" in shown
    os.close(ours)
