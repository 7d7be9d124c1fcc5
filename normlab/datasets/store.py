"""Gives the files of a data set, found or fetched, and verified."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from normlab.datasets import checksums, download, payload, places
from normlab.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from normlab.datasets.payload import Payload
    from normlab.datasets.source import File, Source


def load(source: Source) -> dict[str, Payload]:
    """Contents by file name, of all files of a data set; safe to call in a thread while other things load.

    Raises:
        DataError: a file that is absent and can't be downloaded, or damaged.
        StorageError: the cache can't be written.
    """
    paths = obtain(source)
    try:
        with ThreadPoolExecutor(max_workers=len(source.files)) as pool:
            read = list(pool.map(lambda file: payload.read(paths[file.name], file.size), source.files))
        checksums.verify(zip(source.files, read))
    except DataError as error:
        raise DataError(f"{error}; {_remedy(source)}") from error
    return {file.name: one for file, one in zip(source.files, read)}


def obtain(source: Source) -> dict[str, Path]:
    """Path by file name, of all files of a data set, downloaded if they are nowhere; not verified.

    Raises:
        DataError: a file that is absent and can't be downloaded.
        StorageError: the cache can't be written.
    """
    paths = places.find(source)
    if len(paths) < len(source.files):
        download.fetch(source)
        paths = places.find(source)
    return paths


def examine(source: Source) -> dict[Path, str | None]:
    """Verify the files that are there, whatever is remembered of them: None for a good one, else what is wrong."""
    paths = places.find(source)
    return {paths[file.name]: _fault(file, paths[file.name]) for file in source.files if file.name in paths}


def repair(source: Source) -> list[Path]:
    """Discard what is damaged in the cache, obtain what is missing, and verify all; gives the paths of the files.

    Raises:
        DataError: as `load`.
        StorageError: as `load`.
    """
    own = places.own_cache(source)
    damaged = [path for path, fault in examine(source).items() if fault and path.parent == own]
    if damaged:
        download.discard(source, damaged)
    return [one.path for one in load(source).values()]


def _fault(file: File, path: Path) -> str | None:
    try:
        checksums.verify([(file, payload.read(path, file.size))], again=True)
    except DataError as error:
        return str(error)
    return None


def _remedy(source: Source) -> str:
    if source.shipped:
        return "install normlab again"
    return (
        f"remove the file and run `normlab data fetch {source.name}`, "
        f"or put the genuine file into a folder DIR/{source.name} and set {places.VARIABLE}=DIR"
    )
