"""The folders in which the files of a data set are looked for, in order, and what of it is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normlab.datasets.source import File, Source

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
