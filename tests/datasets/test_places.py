from __future__ import annotations

import re
from dataclasses import replace

import pytest
from datasets_support import isolate, tiny, tiny_archive, write

from normlab.datasets.plugin import SHIPPED
from normlab.datasets.source import Place, find_files, find_origin, locate, user_folders


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path) / "datasets" / "fashion_mnist"


def states(source):
    return [(place.where, place.state) for place in locate(source)]


def test_places_are_listed_in_the_order_of_the_search(monkeypatch, tmp_path, cache):
    write(tmp_path / "installed")
    source = replace(tiny("http://home"), installed=(tmp_path / "installed",))
    assert states(source) == [
        ("$NORMLAB_DATA", "not set"),
        (str(tmp_path / "installed"), "present"),
        (str(cache), "absent"),
        ("http://home", "for download"),
    ]
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    assert [where for where, _ in states(source)][:4] == [
        str(tmp_path / "data" / "fashion_mnist"),
        str(tmp_path / "data" / "fashion-mnist"),
        str(tmp_path / "data"),
        str(tmp_path / "installed"),
    ]


def test_the_first_folder_that_has_a_file_provides_it(monkeypatch, tmp_path, cache):
    own, flat = write(tmp_path / "data" / "fashion_mnist"), write(tmp_path / "data")
    write(cache)
    (own / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
    found = find_files(tiny())
    assert found["train-images-idx3-ubyte"].parent == own
    assert found["t10k-labels-idx1-ubyte"].parent == flat


def test_files_of_an_incomplete_data_set_are_counted(cache):
    write(cache)
    for path in sorted(cache.iterdir())[:3]:
        path.unlink()
    assert (str(cache), "1 of 4 files") in states(tiny())


def test_the_origin_is_the_first_place_that_can_provide_the_files(monkeypatch, tmp_path, cache):
    source, archive = tiny_archive("http://home")
    assert find_origin(source) == Place("http://home", "for download")
    (tmp_path / "tiny.tar.gz").write_bytes(archive)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    assert find_origin(source) == Place(str(tmp_path), "archive")
    write(cache, gzipped=False)
    assert find_origin(source) == Place(str(cache), "present")
    assert find_origin(replace(tiny(), folders=())) == Place(str(cache), "present")
    assert find_origin(SHIPPED["synthetic"].source).state == "needs none"


def test_a_tilde_and_a_relative_folder_are_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("~/data", "data"):
        monkeypatch.setenv("NORMLAB_DATA", folder)
        assert user_folders(tiny())[-1] == tmp_path / "data"


def test_shipped_data_sets_are_listed_under_their_names():
    listed = {name: shipped.build for name, shipped in SHIPPED.items()}
    assert list(listed) == ["mnist", "fashion_mnist", "cifar10", "cifar100", "arrays", "synthetic"]
    assert all(build.__name__ == name for name, build in listed.items())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_description_of_a_data_set_is_complete(name):
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
