"""Find the files of a data set, download and unpack what is missing, and verify all of them.

Downloads go into the cache under a lock, so that many processes make one download.
"""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from normlab.datasets import checksums, payload
from normlab.datasets import source as places
from normlab.datasets.payload import Payload
from normlab.datasets.source import Download, File, Source
from normlab.errors import DataError, StorageError


def unpack(archive: Path, inside: str, files: Sequence[File], folder: Path) -> list[Path]:
    """Write the files into a folder under their own names; their contents are not checked here, only their sizes.

    Args:
        archive: tar, compressed or not.
        inside: the folder in the archive that holds the files.
        files: those to take; every other regular member is passed over.
        folder: exists, and has none of the files yet.

    Returns:
        The paths written, in the order of the archive.

    Raises:
        DataError: damaged, a member with an absolute path or `..`, one that is no regular file or of another size,
            a file twice or missing. What was written before stays for the caller to remove.
    """
    wanted = {f"{inside}/{file.name}": file for file in files}
    try:
        with tarfile.open(archive) as tar:
            written = [_write(tar, member, wanted, folder) for member in tar if _is_wanted(member, wanted, archive)]
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: damaged archive ({error}); expected {', '.join(wanted)} in it") from error
    if wanted:
        raise DataError(f"{archive}: lacks {', '.join(wanted)}; expected the archive as its authors publish it")
    return written


def _is_wanted(member: tarfile.TarInfo, wanted: dict[str, File], archive: Path) -> bool:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{archive}: member {member.name!r} leads out of the folder; expected plain names; remove it")
    file = wanted.get(str(path))
    if file is None:
        return False
    if not member.isreg() or member.size != file.size:
        raise DataError(
            f"{archive}: member {member.name!r} is no regular file or has {member.size:,} bytes; "
            f"expected a regular file of {file.size:,} bytes",
        )
    return True


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, wanted: dict[str, File], folder: Path) -> Path:
    path = folder / wanted.pop(str(PurePosixPath(member.name))).name
    with tar.extractfile(member) as contents, path.open("xb") as file:  # type: ignore[union-attr] # it is a regular file
        shutil.copyfileobj(contents, file)
    return path


_TIMEOUT = 30.0  # seconds without an answer
_CONNECTION = re.compile(r"^(<[^>]*>|HTTPS?Connection\([^)]*\)): ")  # how it names the connection before the cause
_CHUNK = 2**16  # bytes between two movements of the progress bar
_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def fetch(source: Source) -> None:
    """Make every file of a data set be found: download what no folder has, or unpack an archive that was given.

    Another process that does the same meanwhile is waited for; what it brought is not downloaded again.

    Raises:
        DataError: no network, a refused download, wrong contents, or nowhere to download from.
        StorageError: the cache can't be written.
    """
    if not source.downloads:
        raise _absent(source, [])
    with _cache(source) as folder:
        found = places.find(source)
        for download in source.downloads:
            if any(file.name not in found for file in download.files):
                _bring(download, source, folder)


def discard(source: Source, paths: list[Path]) -> None:
    """Remove damaged files from the cache, while no other process brings files.

    Raises:
        StorageError: the cache can't be written.
    """
    with _cache(source):
        for path in paths:
            path.unlink(missing_ok=True)


@contextmanager
def _cache(source: Source) -> Iterator[Path]:
    """The folder for the files, made and locked; the system lifts the lock when a process ends, however it ends."""
    from filelock import FileLock  # noqa: PLC0415 - 30 ms that only a download pays

    folder = places.own_cache(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield folder
    except (OSError, NotImplementedError) as error:
        raise StorageError(
            f"{folder}: can't be written ({getattr(error, 'strerror', None) or error}); "
            f"expected room for the files of {source.name}; "
            f"make room, or put the files into a folder DIR/{source.name} and set {places.VARIABLE}=DIR",
        ) from error


def _bring(download: Download, source: Source, folder: Path) -> None:
    """Work in a folder of its own, so that the files appear whole or not at all, whatever stops the process."""
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        if download.inside is None:
            ready = [_retrieve(download, source, partial)]
        else:
            packed = _found_archive(download, source) or _retrieve(download, source, partial)
            ready = unpack(packed, download.inside, download.files, partial)
        for path in ready:
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _found_archive(download: Download, source: Source) -> Path | None:
    path = places.find_archive(source, download.name)
    if path is None:
        return None
    try:
        got = f"has SHA-256 {checksums.sha256(path.read_bytes())}"
    except OSError as error:
        got = f"can't be read ({error.strerror})"
    if not got.endswith(download.sha256):
        raise DataError(
            f"{path}: {got}; expected SHA-256 {download.sha256}; "
            f"download it anew from {download.urls[0]}, or remove it",
        )
    return path


def _retrieve(download: Download, source: Source, folder: Path) -> Path:
    import pooch  # noqa: PLC0415 - 60 ms that only a download pays

    pooch.get_logger().setLevel("ERROR")  # what there is to say, the progress bar and our errors say
    reasons, watched = [], sys.stderr.isatty()
    for url in download.urls:
        home = pooch.HTTPDownloader(progressbar=watched, chunk_size=_CHUNK, timeout=_TIMEOUT)
        try:
            if watched:
                sys.stderr.write(f"downloading {url}\n")
            return Path(pooch.retrieve(url, f"sha256:{download.sha256}", download.name, folder, downloader=home))
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in _OURS:
                raise
            reasons.append(f"{url}: {_reason(error)}")
    raise _absent(source, reasons)


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words: the network library wraps it three times."""
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", inner)
    text = _CONNECTION.sub("", " ".join(str(cause).split()))
    return (text or type(error).__name__)[:300]


def _absent(source: Source, reasons: list[str]) -> DataError:
    found = places.find(source)
    lacking = [file.name for file in source.files if file.name not in found]
    what = ", ".join(lacking) if len(lacking) < len(source.files) else f"all its {len(lacking)} files"
    looked = ", ".join(
        f"{place.where} ({place.state})" for place in places.locate(source) if place.state != places.REMOTE
    )
    return DataError(
        "\n".join(
            [
                f"data set {source.name}: not found: {what}; looked in {looked}",
                *reasons,
                f"put the files, gzipped or not, into a folder DIR/{source.name} and set {places.VARIABLE}=DIR"
                + (f"; or {source.by_hand}" if source.by_hand else ""),
            ],
        ),
    )


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
        fetch(source)
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
        discard(source, damaged)
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
