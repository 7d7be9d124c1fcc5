"""Takes the expected files out of a tar archive, and nothing else; refuses an archive that would leave its folder."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from normlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from normlab.datasets.source import File


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
