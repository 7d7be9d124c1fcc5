"""The source of a data set: its files and their checksums, the folders that may hold them, and their downloads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """One file of a data set, as it is read.

    Attributes:
        name: File name, without folder and without `.gz`.
        size: Size in bytes, uncompressed.
        sha256: SHA-256 (hex) of the uncompressed contents, which doesn't depend on how a distributor compressed it.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """One download: a gzipped file, or a tar archive of several files.

    Attributes:
        name: Name of the downloaded file.
        size: Size in bytes of the download.
        sha256: SHA-256 (hex) of the download.
        urls: Where to download it from, tried in this order.
        files: The files that it provides.
        inside: The folder in the archive that holds the files, or None for a gzipped file.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]
    files: tuple[File, ...]
    inside: str | None = None


@dataclass(frozen=True)
class Source:
    """What is known of a data set before it is read.

    Attributes:
        name: Name of the data set in specs.
        description: One sentence.
        licence: Its terms, in short.
        citation: How to cite it.
        shape: Shape of one example, `(C, H, W)`; None if the user chooses it.
        classes: Number of classes; None if the user chooses it.
        sizes: Default numbers of examples in train, validation and test; None if the user chooses them.
        files: The files that it is read from; empty if it needs none.
        downloads: Downloads that provide the files; empty if they can't be downloaded.
        folders: Names that its folder may have in `$NORMLAB_DATA`.
        shipped: The folder of normlab itself that contains it, if any.
        installed: Folders in which Linux distributions install it.
        by_hand: Another way to get the files, for the message to a user without a network.
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
        """Size in bytes of all files, uncompressed."""
        return sum(file.size for file in self.files)


VARIABLE = "NORMLAB_DATA"
REMOTE = "for download"  # the state of a place on the network


@dataclass(frozen=True)
class Place:
    """A place that may provide a data set, and what was found there.

    Attributes:
        where: A folder, a URL, or the name of the environment variable that is not set.
        state: `present`, `absent`, `2 of 4 files`, `archive`, `not set`, or `for download`.
    """

    where: str
    state: str


def cache_folder() -> Path:
    """Return the user's cache folder on this machine for what normlab can create again."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - takes 13 ms, which a listing of names need not pay

    return user_cache_path("normlab")


def dataset_cache(source: Source) -> Path:
    """Return the folder in the cache for the files of one data set."""
    return cache_folder() / "datasets" / source.name


def user_folders(source: Source) -> list[Path]:
    """Return the folders in `$NORMLAB_DATA` that may hold the files: those of the data set, then the folder itself."""
    root = os.environ.get(VARIABLE)
    if not root:
        return []
    return [Path(root).expanduser().absolute() / name for name in (*source.folders, "")]


def search_folders(source: Source) -> list[Path]:
    """Return all folders to search for the files, in order: shipped, `$NORMLAB_DATA`, installed, cache."""
    shipped = [source.shipped] if source.shipped else []
    return [*shipped, *user_folders(source), *source.installed, dataset_cache(source)]


def find_files(source: Source) -> dict[str, Path]:
    """Return the path of each file that was found, by file name, from the first folder that has it."""
    found: dict[str, Path] = {}
    for folder in search_folders(source):
        for file in source.files:
            path = None if file.name in found else _find_in(folder, file)
            if path:
                found[file.name] = path
    return found


def find_archive(source: Source, name: str) -> Path | None:
    """Return an archive of this name that the user put into one of the folders, or None."""
    return next((folder / name for folder in search_folders(source) if _is_file(folder / name)), None)


def locate(source: Source) -> list[Place]:
    """Return every place that may provide the files, in order, with its state; empty if no files are needed."""
    if not source.files:
        return []
    places = [Place(str(folder), _state(source, folder)) for folder in search_folders(source)]
    if not os.environ.get(VARIABLE):
        places.insert(1 if source.shipped else 0, Place(f"${VARIABLE}", "not set"))
    urls = dict.fromkeys(url.rpartition("/")[0] for download in source.downloads for url in download.urls)
    return [*places, *(Place(url, REMOTE) for url in urls)]


def find_origin(source: Source) -> Place:
    """Return the place that would provide the files now; its state is `needs none` if no files are needed."""
    if not source.files:
        return Place("", "needs none")
    found = find_files(source)
    if len(found) == len(source.files):
        return Place(", ".join(dict.fromkeys(str(path.parent) for path in found.values())), "present")
    providers = (place for place in locate(source) if place.state in {"archive", REMOTE})
    return next(providers, Place("", "absent"))


def _find_in(folder: Path, file: File) -> Path | None:
    """Return the path of a file in this folder, plain or gzipped, or None."""
    return next((path for path in (folder / file.name, folder / f"{file.name}.gz") if _is_file(path)), None)


def _state(source: Source, folder: Path) -> str:
    count = sum(_find_in(folder, file) is not None for file in source.files)
    if count == len(source.files):
        return "present"
    if any(download.inside and _is_file(folder / download.name) for download in source.downloads):
        return "archive"
    return f"{count} of {len(source.files)} files" if count else "absent"


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a folder without permission
