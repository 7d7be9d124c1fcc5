"""The source of a data set: its files with their checksums, where they may lie, and where they are downloaded from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """One file as the data set reads it, uncompressed.

    Attributes:
        name: without folder and without `.gz`.
        size: bytes, uncompressed.
        sha256: hex, of the uncompressed contents: the same however a distributor compressed it.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """One thing to download: the gzip of one file, or a tar archive of several.

    Attributes:
        name: file name under which it is kept.
        size: bytes, as downloaded.
        sha256: hex, as downloaded.
        urls: its homes, tried in this order.
        files: what it gives.
        inside: the folder in the archive that holds the files; None for a gzip of one file.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]
    files: tuple[File, ...]
    inside: str | None = None


@dataclass(frozen=True)
class Source:
    """All that is known of a data set before it is read.

    Attributes:
        name: the word by which specs know it.
        description: one sentence.
        licence: its terms, in short.
        citation: how to cite it.
        shape: of one example, `(C, H, W)`; None if the person decides.
        classes: None if the person decides.
        sizes: examples in train, validation and test by default; None if the person decides.
        files: what must be found to read it; empty if it needs none.
        downloads: how to get them; empty if they can't be downloaded.
        folders: names which its folder may have in `$NORMLAB_DATA`.
        shipped: the folder in which normlab itself brings it.
        installed: folders in which distributions install it.
        by_hand: a further way to supply the files, for the message of a person without a network.
    """

    name: str
    description: str
    licence: str
    citation: str
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    sizes: tuple[int, int, int] | None = None
    files: tuple[File, ...] = ()
    downloads: tuple[Download, ...] = ()
    folders: tuple[str, ...] = ()
    shipped: Path | None = None
    installed: tuple[Path, ...] = ()
    by_hand: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files, uncompressed."""
        return sum(file.size for file in self.files)


VARIABLE = "NORMLAB_DATA"
REMOTE = "for download"  # the state of a place on the network


@dataclass(frozen=True)
class Place:
    """A place where a data set may come from, and what was found there.

    Attributes:
        where: folder, address, or the variable that is not set.
        state: `present`, `absent`, `2 of 4 files`, `archive`, `not set`, or `for download`.
    """

    where: str
    state: str


def cache_folder() -> Path:
    """The folder of this person on this machine for what normlab can make again."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - 13 ms that a listing of names need not pay

    return user_cache_path("normlab")


def own_cache(source: Source) -> Path:
    """The folder in the cache that holds the files of one data set."""
    return cache_folder() / "datasets" / source.name


def given_folders(source: Source) -> list[Path]:
    """Folders in `$NORMLAB_DATA`: one of the data set's own, or that folder itself."""
    root = os.environ.get(VARIABLE)
    if not root:
        return []
    return [Path(root).expanduser().absolute() / name for name in (*source.folders, "")]


def folders(source: Source) -> list[Path]:
    """Every folder in which files are looked for: shipped, `$NORMLAB_DATA`, installed, cache."""
    shipped = [source.shipped] if source.shipped else []
    return [*shipped, *given_folders(source), *source.installed, own_cache(source)]


def in_folder(file: File, folder: Path) -> Path | None:
    """The file in this folder, plain or gzipped; None if it is not there."""
    return next((path for path in (folder / file.name, folder / f"{file.name}.gz") if _is_file(path)), None)


def find(source: Source) -> dict[str, Path]:
    """Path by file name, for all files that were found; each in the first folder that has it."""
    found: dict[str, Path] = {}
    for folder in folders(source):
        for file in source.files:
            path = None if file.name in found else in_folder(file, folder)
            if path:
                found[file.name] = path
    return found


def find_archive(source: Source, name: str) -> Path | None:
    """An archive that a person put into one of the folders; None if there is none."""
    return next((folder / name for folder in folders(source) if _is_file(folder / name)), None)


def locate(source: Source) -> list[Place]:
    """Every place from which the files may come, in order, with what is there now; empty if it needs no files."""
    if not source.files:
        return []
    places = [Place(str(folder), _state(source, folder)) for folder in folders(source)]
    if not os.environ.get(VARIABLE):
        places.insert(1 if source.shipped else 0, Place(f"${VARIABLE}", "not set"))
    homes = dict.fromkeys(url.rpartition("/")[0] for download in source.downloads for url in download.urls)
    return [*places, *(Place(home, REMOTE) for home in homes)]


def origin(source: Source) -> Place:
    """The place from which the files would come now; state `needs none` if it needs no files."""
    if not source.files:
        return Place("", "needs none")
    found = find(source)
    if len(found) == len(source.files):
        return Place(", ".join(dict.fromkeys(str(path.parent) for path in found.values())), "present")
    ways = [place for place in locate(source) if place.state in {"archive", REMOTE}]
    return ways[0] if ways else Place("", "absent")


def _state(source: Source, folder: Path) -> str:
    count = sum(in_folder(file, folder) is not None for file in source.files)
    if count == len(source.files):
        return "present"
    if any(download.inside and _is_file(folder / download.name) for download in source.downloads):
        return "archive"
    return f"{count} of {len(source.files)} files" if count else "absent"


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a folder that may not be entered
