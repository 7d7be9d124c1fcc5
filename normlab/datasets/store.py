"""Find the files of a data set, download and unpack missing ones, and verify them all.

Downloads go into the cache under a lock, so that processes that start at the same time download only once.
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
from normlab.datasets.payload import Payload
from normlab.datasets.source import (
    REMOTE,
    VARIABLE,
    Download,
    File,
    Source,
    dataset_cache,
    find_archive,
    find_files,
    locate,
)
from normlab.errors import DataError, StorageError

_TIMEOUT = 30.0  # seconds without an answer
_CONNECTION = re.compile(r"^(<[^>]*>|HTTPS?Connection\([^)]*\)): ")  # the prefix of the network library's messages
_CHUNK = 2**16  # bytes between two updates of the progress bar
#: Errors of this machine's disk, not of the network.
_LOCAL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def load(source: Source) -> dict[str, Payload]:
    """Return the contents of all files of a data set by file name. Safe to call from several threads.

    Raises:
        DataError: A file is missing and can't be downloaded, or is damaged.
        StorageError: The cache can't be written.
    """
    paths = obtain(source)
    try:
        with ThreadPoolExecutor(max_workers=len(source.files)) as pool:
            read = list(pool.map(lambda file: payload.read(paths[file.name], file.size), source.files))
        checksums.verify(zip(source.files, read))
    except DataError as error:
        raise DataError(f"{error}; {_advice(source)}") from error
    return {file.name: one for file, one in zip(source.files, read)}


def obtain(source: Source) -> dict[str, Path]:
    """Return the path of every file of a data set by file name, downloading missing ones. Contents are not verified.

    Raises:
        DataError: A file is missing and can't be downloaded.
        StorageError: The cache can't be written.
    """
    paths = find_files(source)
    if len(paths) < len(source.files):
        fetch(source)
        paths = find_files(source)
    return paths


def examine(source: Source) -> dict[Path, str | None]:
    """Verify the files that are present, also those verified before.

    Returns:
        For each path None if the file is good, or else what is wrong with it.
    """
    paths = find_files(source)
    return {paths[file.name]: _fault(file, paths[file.name]) for file in source.files if file.name in paths}


def repair(source: Source) -> list[Path]:
    """Remove damaged files from the cache, download missing ones, verify all, and return the paths of the files.

    Raises:
        DataError: As `load`.
        StorageError: As `load`.
    """
    cache = dataset_cache(source)
    damaged = [path for path, fault in examine(source).items() if fault and path.parent == cache]
    if damaged:
        discard(source, damaged)
    return [one.path for one in load(source).values()]


def discard(source: Source, paths: list[Path]) -> None:
    """Remove damaged files from the cache while no other process downloads files.

    Raises:
        StorageError: The cache can't be written.
    """
    with _lock_cache(source):
        for path in paths:
            path.unlink(missing_ok=True)


def fetch(source: Source) -> None:
    """Download the files of a data set that no folder has, or unpack an archive that the user provided.

    If another process is doing the same, wait for it; files that it downloaded are not downloaded again.

    Raises:
        DataError: There is no network or nowhere to download from, or a download failed or has wrong contents.
        StorageError: The cache can't be written.
    """
    if not source.downloads:
        raise _missing(source, [])
    with _lock_cache(source) as folder:
        found = find_files(source)
        for download in source.downloads:
            if any(file.name not in found for file in download.files):
                _obtain_download(download, source, folder)


def unpack(archive: Path, inside: str, files: Sequence[File], folder: Path) -> list[Path]:
    """Extract files into a folder under their own names. Only their sizes are checked here, not their contents.

    Args:
        archive: A tar file, compressed or not.
        inside: The folder in the archive that holds the files.
        files: The files to extract; other regular members are skipped.
        folder: An existing folder that has none of the files yet.

    Returns:
        The paths of the extracted files, in the order of the archive.

    Raises:
        DataError: The archive is damaged; a member has an absolute path or `..` in it; a file is not a regular file,
            has the wrong size or is missing. The caller has to remove the files extracted until then.
    """
    remaining = {f"{inside}/{file.name}": file for file in files}
    try:
        with tarfile.open(archive) as tar:
            written = [_extract(tar, one, remaining, folder) for one in tar if _is_needed(one, remaining, archive)]
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: damaged archive ({error}); expected {', '.join(remaining)} in it") from error
    if remaining:
        raise DataError(f"{archive}: lacks {', '.join(remaining)}; expected the archive as its authors published it")
    return written


def _is_needed(member: tarfile.TarInfo, remaining: dict[str, File], archive: Path) -> bool:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(
            f"{archive}: member {member.name!r} points outside the folder; expected plain names; remove the archive"
        )
    file = remaining.get(str(path))
    if file is None:
        return False
    if not member.isreg() or member.size != file.size:
        raise DataError(
            f"{archive}: member {member.name!r} is not a regular file or has {member.size:,} bytes; "
            f"expected a regular file of {file.size:,} bytes",
        )
    return True


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, remaining: dict[str, File], folder: Path) -> Path:
    path = folder / remaining.pop(str(PurePosixPath(member.name))).name
    with tar.extractfile(member) as contents, path.open("xb") as file:  # type: ignore[union-attr] # it is a regular file
        shutil.copyfileobj(contents, file)
    return path


@contextmanager
def _lock_cache(source: Source) -> Iterator[Path]:
    """Create and lock the cache folder of a data set. The system releases the lock however the process ends."""
    from filelock import FileLock  # noqa: PLC0415 - takes 30 ms, which only a download pays

    folder = dataset_cache(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield folder
    except (OSError, NotImplementedError) as error:
        raise StorageError(
            f"{folder}: can't be written ({getattr(error, 'strerror', None) or error}); "
            f"expected space for the files of {source.name}; "
            f"free some space, or put the files into a folder DIR/{source.name} and set {VARIABLE}=DIR",
        ) from error


def _obtain_download(download: Download, source: Source, folder: Path) -> None:
    """Download and unpack in a temporary folder, so that the files appear complete or not at all."""
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        if download.inside is None:
            ready = [_download(download, source, partial)]
        else:
            archive = _find_archive(download, source) or _download(download, source, partial)
            ready = unpack(archive, download.inside, download.files, partial)
        for path in ready:
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _find_archive(download: Download, source: Source) -> Path | None:
    path = find_archive(source, download.name)
    if path is None:
        return None
    try:
        found = f"has SHA-256 {checksums.sha256(path.read_bytes())}"
    except OSError as error:
        found = f"can't be read ({error.strerror})"
    if not found.endswith(download.sha256):
        raise DataError(
            f"{path}: {found}; expected SHA-256 {download.sha256}; "
            f"download it again from {download.urls[0]}, or remove it",
        )
    return path


def _download(download: Download, source: Source, folder: Path) -> Path:
    import pooch  # noqa: PLC0415 - takes 60 ms, which only a download pays

    pooch.get_logger().setLevel("ERROR")  # the progress bar and our own errors say enough
    reasons, is_terminal = [], sys.stderr.isatty()
    for url in download.urls:
        downloader = pooch.HTTPDownloader(progressbar=is_terminal, chunk_size=_CHUNK, timeout=_TIMEOUT)
        try:
            if is_terminal:
                sys.stderr.write(f"downloading {url}\n")
            return Path(pooch.retrieve(url, f"sha256:{download.sha256}", download.name, folder, downloader=downloader))
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in _LOCAL_ERRORS:
                raise
            reasons.append(f"{url}: {_reason(error)}")
    raise _missing(source, reasons)


def _reason(error: BaseException) -> str:
    """Return the innermost cause in a few words: the network library wraps it three times."""
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", inner)
    text = _CONNECTION.sub("", " ".join(str(cause).split()))
    return (text or type(error).__name__)[:300]


def _missing(source: Source, reasons: list[str]) -> DataError:
    found = find_files(source)
    missing = [file.name for file in source.files if file.name not in found]
    what = f"missing {', '.join(missing)}" if len(missing) < len(source.files) else "no files found"
    searched = ", ".join(f"{place.where} ({place.state})" for place in locate(source) if place.state != REMOTE)
    advice = f"put the files, gzipped or not, into a folder DIR/{source.name} and set {VARIABLE}=DIR"
    if source.by_hand:
        advice += f"; or {source.by_hand}"
    return DataError("\n".join([f"data set {source.name}: {what}; searched {searched}", *reasons, advice]))


def _fault(file: File, path: Path) -> str | None:
    try:
        checksums.verify([(file, payload.read(path, file.size))], again=True)
    except DataError as error:
        return str(error)
    return None


def _advice(source: Source) -> str:
    if source.shipped:
        return "reinstall normlab"
    return (
        f"remove the file and run `normlab data fetch {source.name}`, "
        f"or put an intact copy into a folder DIR/{source.name} and set {VARIABLE}=DIR"
    )
