from __future__ import annotations

import tarfile

import pytest
from datasets_support import sha256, tar

from normlab.datasets.source import File
from normlab.datasets.store import unpack
from normlab.errors import DataError

FILES = (File("a.bin", 3, sha256(b"aaa")), File("b.bin", 4, sha256(b"bbbb")))
GOOD = {"in/readme.html": b"hello", "in/b.bin": b"bbbb", "in/a.bin": b"aaa"}


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, "/etc/passwd", 3  # the expected size
    return info


@pytest.fixture
def attempt(tmp_path):
    folder = tmp_path / "into" / "folder"
    folder.mkdir(parents=True)

    def unpacked(data: bytes) -> dict[str, bytes]:
        archive = tmp_path / "some.tar.gz"
        archive.write_bytes(data)
        paths = unpack(archive, "in", FILES, folder)
        assert sorted(folder.iterdir()) == sorted(paths)
        return {path.name: path.read_bytes() for path in paths}

    unpacked.folder = folder
    return unpacked


def test_only_the_expected_files_are_extracted(attempt):
    assert attempt(tar(GOOD)) == {"a.bin": b"aaa", "b.bin": b"bbbb"}


def test_a_leading_dot_in_member_names_is_ignored(attempt):
    assert set(attempt(tar({f"./{name}": data for name, data in GOOD.items()}))) == {"a.bin", "b.bin"}


@pytest.mark.parametrize("name", ["../evil", "in/../../evil", "/tmp/evil", "in/../a.bin"])  # noqa: S108 - never written
def test_a_member_outside_the_folder_is_refused(attempt, name):
    with pytest.raises(DataError, match="points outside the folder; expected plain names"):
        attempt(tar({name: b"evil", **GOOD}))
    assert not list(attempt.folder.parent.glob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_an_expected_member_that_is_not_a_regular_file_is_refused(attempt, kind):
    with pytest.raises(DataError, match=r"member 'in/a.bin' is not a regular file"):
        attempt(tar({**GOOD, "in/a.bin": link("in/a.bin", kind)}))
    assert not (attempt.folder / "a.bin").exists()


@pytest.mark.parametrize("data", [b"", b"aa", b"aaaa", bytes(10_000_000)])
def test_a_member_of_the_wrong_size_is_refused(attempt, data):
    with pytest.raises(DataError, match="expected a regular file of 3 bytes"):
        attempt(tar({**GOOD, "in/a.bin": data}))


def test_a_duplicate_member_is_extracted_once(attempt):
    assert attempt(tar({**GOOD, "./in/a.bin": b"xxx"}))["a.bin"] == b"aaa"


def test_a_missing_member_is_reported(attempt):
    with pytest.raises(DataError, match=r"lacks in/a.bin; expected the archive as its authors published it"):
        attempt(tar({"in/b.bin": b"bbbb"}))


def test_a_truncated_or_damaged_archive_is_reported(attempt):
    whole = tar(GOOD)
    for length in (0, 1, 10, len(whole) // 2):
        with pytest.raises(DataError, match=r"some.tar.gz: (damaged archive|lacks)"):
            attempt(whole[:length])
        for path in attempt.folder.iterdir():
            path.unlink()
    with pytest.raises(DataError, match="damaged archive"):
        attempt(b"this is no archive" * 100)
