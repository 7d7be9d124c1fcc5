from __future__ import annotations

import re
from dataclasses import replace

import pytest
from datasets_support import isolate, tiny, tiny_archive, write

from normlab.datasets import source as places
from normlab.datasets.plugin import SHIPPED


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path) / "datasets" / "fashion_mnist"


def states(source):
    return [(place.where, place.state) for place in places.locate(source)]


def test_places_are_named_in_the_order_in_which_they_are_tried(monkeypatch, tmp_path, cache):
    write(tmp_path / "installed")
    source = replace(tiny("http://home"), installed=(tmp_path / "installed",))
    assert states(source) == [
        ("$NORMLAB_DATA", "not set"),
        (str(tmp_path / "installed"), "present"),
        (str(cache), "absent"),
        ("http://home", "for download"),
    ]
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "given"))
    assert [where for where, _ in states(source)][:4] == [
        str(tmp_path / "given" / "fashion_mnist"),
        str(tmp_path / "given" / "fashion-mnist"),
        str(tmp_path / "given"),
        str(tmp_path / "installed"),
    ]


def test_the_first_place_that_has_a_file_gives_it(monkeypatch, tmp_path, cache):
    own, flat = write(tmp_path / "given" / "fashion_mnist"), write(tmp_path / "given")
    write(cache)
    (own / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "given"))
    found = places.find(tiny())
    assert found["train-images-idx3-ubyte"].parent == own
    assert found["t10k-labels-idx1-ubyte"].parent == flat


def test_half_a_data_set_is_counted(cache):
    write(cache)
    for path in sorted(cache.iterdir())[:3]:
        path.unlink()
    assert (str(cache), "1 of 4 files") in states(tiny())


def test_where_the_files_would_come_from(monkeypatch, tmp_path, cache):
    source, archive = tiny_archive("http://home")
    assert places.origin(source) == places.Place("http://home", "for download")
    (tmp_path / "tiny.tar.gz").write_bytes(archive)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    assert places.origin(source) == places.Place(str(tmp_path), "archive")
    write(cache, gzipped=False)
    assert places.origin(source) == places.Place(str(cache), "present")
    assert places.origin(replace(tiny(), folders=())) == places.Place(str(cache), "present")
    assert places.origin(SHIPPED["synthetic"].source).state == "needs none"


def test_a_tilde_and_a_relative_folder_are_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given in ("~/data", "data"):
        monkeypatch.setenv("NORMLAB_DATA", given)
        assert places.given_folders(tiny())[-1] == tmp_path / "data"


def test_shipped_data_sets_are_listed_under_their_names():
    listed = {name: shipped.build for name, shipped in SHIPPED.items()}
    assert list(listed) == ["mnist", "fashion_mnist", "cifar10", "cifar100", "arrays", "synthetic"]
    assert all(build.__name__ == name for name, build in listed.items())


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_said_of_a_data_set_is_complete(name):
    source = SHIPPED[name].source
    assert source.description.endswith(".")
    assert source.licence
    assert source.citation
    downloads = source.downloads
    if downloads:
        assert sorted(file.name for one in downloads for file in one.files) == sorted(f.name for f in source.files)
    for known in (*source.files, *downloads):
        assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
        assert re.fullmatch(r"[\w.-]+", known.name)
    for url in (url for one in downloads for url in one.urls):
        assert re.match(r"https?://[\w./~-]+$", url)
