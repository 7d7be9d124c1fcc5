"""Safe file operations: atomic writes, appending lines, claiming folders, names that can't leave their folder.

Errors of the operating system become a `StorageError` with the path, the reason, the free space and what to do. This
module does not depend on the content of the files.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Union

from normlab.errors import StorageError

PathLike = Union[str, "os.PathLike[str]"]

TEMPORARY = ".tmp-"
"""Prefix of the names of unfinished files and folders."""

_ANOTHER = "or choose another folder with --out"
_PERMISSION = f"get permission (`ls -ld` shows who has it), {_ANOTHER}"
_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: f"free some space there, {_ANOTHER}, and run the same command again",
    errno.EDQUOT: f"delete files, since your quota is used up, {_ANOTHER}, and run the same command again",
    errno.EFBIG: f"raise the limit on file sizes (`ulimit -f`), {_ANOTHER}",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "with --out, choose a folder that is not on a read-only file system",
    errno.ENOENT: "check the path",
    errno.EISDIR: "there is a folder with the name of the file: move it away",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.EIO: f"the disk may be failing: check the system log, {_ANOTHER}",
}

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # device names on Windows
_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.=,+-]{0,98}[A-Za-z0-9_=,+-])?")


@contextmanager
def storage_errors(path: PathLike, doing: str = "write") -> Iterator[None]:
    """Convert an `OSError` in the block to a `StorageError` about `path`.

    Args:
        path: The file or folder that the message names.
        doing: The operation, as it follows "can't" in the message.

    Raises:
        StorageError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(_message(Path(path), doing, error)) from error


def write_atomically(path: PathLike, data: bytes | str) -> None:
    """Write a file atomically: at any time, even after a crash, it has either its old or its new content.

    The data is written to a temporary file in the same folder, synced to the disk, and renamed in one step. A symbolic
    link with the name of the file is replaced, not followed.

    Raises:
        StorageError: The file can't be written. The old file is unchanged, unless only syncing the folder failed.
    """
    path = Path(path)
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.parent / temporary_name()
    with storage_errors(path):
        try:
            _write_new(temporary, content)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(path.parent)


def write_folder(folder: PathLike, files: Mapping[str, bytes]) -> None:
    """Create a folder of files atomically: it is written and synced under a temporary name, then renamed.

    Args:
        folder: The folder, which must not exist; its parent must exist.
        files: Contents of the files by name.

    Raises:
        StorageError: The folder can't be created; no part of it is left.
    """
    folder = Path(folder)
    temporary = folder.parent / temporary_name()
    with storage_errors(folder):
        try:
            temporary.mkdir()
            for name, content in files.items():
                _write_new(temporary / name, content)
            sync_directory(temporary)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(folder.parent)


def remove_folder(folder: PathLike) -> None:
    """Remove a folder and its contents. It is renamed first, so that no one sees it half removed.

    Raises:
        StorageError: The folder can't be removed.
    """
    folder = Path(folder)
    temporary = folder.parent / temporary_name()
    with storage_errors(folder, "remove this folder"):
        folder.rename(temporary)
        shutil.rmtree(temporary)


def write_json(path: PathLike, content: object) -> None:
    """Write strict JSON atomically: indented by 2, with keys in the given order and a newline at the end.

    Raises:
        StorageError: The file can't be written.
        ValueError: A number is not finite, which JSON can't express.
    """
    write_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_bytes(path: PathLike) -> bytes:
    """Return the content of a regular file. Devices and pipes are errors, because they might never end.

    Raises:
        StorageError: The file does not exist, is not a regular file or can't be read.
    """
    with storage_errors(path, "read"):
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise StorageError(f"{path}: not a regular file; expected one; check the path")
        return Path(path).read_bytes()


def read_json(path: PathLike) -> Any:
    """Return the content of a file of strict JSON.

    Raises:
        StorageError: The file can't be read or is not strict JSON, which has no NaN and Infinity.
    """
    raw = read_bytes(path)
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = f"{path}:{error.lineno}:{error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
    except RecursionError:
        problem = f"{path}: nested too deeply"
    except ValueError as error:  # not UTF-8, NaN or Infinity, or an integer with thousands of digits
        problem = f"{path}: {error}"
    raise StorageError(f"{problem}; expected JSON as normlab writes it; the file is damaged: restore or delete it")


def append_line(target: int | PathLike, text: str) -> None:
    """Append a line with a single write, so that lines of several processes never mix.

    Args:
        target: A path, whose file is created if it does not exist, or a descriptor opened with `O_APPEND`.
        text: The line, without a newline.

    Raises:
        StorageError: The line can't be appended completely to a path.
        OSError: The line can't be appended completely to a descriptor.
        ValueError: The text contains a newline.
    """
    if "\n" in text:
        raise ValueError("a line can't contain a newline")
    line = text.encode("utf-8") + b"\n"
    if isinstance(target, int):
        _write_at_once(target, line)
        return
    with storage_errors(target):
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _write_at_once(descriptor, line)
        finally:
            os.close(descriptor)


def claim_directory(root: PathLike, *names: str) -> Path:
    """Claim the folder `root/name/.../name` by creating it: only one of several processes succeeds.

    Missing parent folders are created; the last folder must not exist.

    Args:
        root: Folder that is created if it does not exist; can be a symbolic link.
        names: One or more path components, each as returned by `safe_name`.

    Raises:
        FileExistsError: The folder already exists.
        StorageError: The folder can't be created, a name is unsafe, or a symbolic link points outside of the root.
    """
    for name in names:
        if not _is_safe(name):
            raise StorageError(f"{name!r}: not a safe folder name; expected one such as {safe_name(name)!r}")
    root = Path(root)
    folder = root.joinpath(*names)
    with storage_errors(folder, "create this folder"):
        root.mkdir(parents=True, exist_ok=True)
        inside(root, folder)
        for above in reversed(list(folder.parents)[: len(names) - 1]):
            above.mkdir(exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(_message(folder, "create this folder", error)) from error
    with storage_errors(folder):
        sync_directory(folder.parent)
    return folder


def safe_name(text: str) -> str:
    """Convert any text to a safe name of a file or folder: at most 100 ASCII letters, digits and `_.=,+-`.

    A safe text is returned unchanged. In any other text, characters that are not allowed become `-`, and a digest of
    the whole text is added, so that different texts give different names. The result is never hidden, `..` or the name
    of a Windows device, and contains no separator.
    """
    if _is_safe(text):
        return text
    plain = unicodedata.normalize("NFKD", text)
    kept = re.sub(r"[^A-Za-z0-9_.=,+-]+", "-", plain).strip("-.")[:80].lstrip("_=,+-.")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{digest}" if kept and not _RESERVED.fullmatch(kept) else f"name-{digest}"


def inside(root: PathLike, path: PathLike) -> Path:
    """Return the path with all symbolic links resolved, and check that it is inside the root.

    Raises:
        StorageError: The path is outside of the root.
    """
    if "\0" in os.fspath(path):
        raise StorageError(
            f"{os.fspath(path)!r}: not a path, since it contains a NUL byte; expected one inside {root}; rename it"
        )
    real_root, real = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    if real != real_root and real_root not in real.parents:
        raise StorageError(f"{path}: points outside of {root}, to {real}; remove the link or the '..' in it")
    return real


def checksum(text: str) -> str:
    """Return a short checksum of a text: the first eight hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def temporary_name() -> str:
    """Return a new name for an unfinished file or folder, to be renamed when it is complete."""
    return f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"


def remove_leftovers(folder: PathLike) -> None:
    """Remove the unfinished files of killed processes from a folder. Requires the lock of the folder.

    Raises:
        StorageError: The folder can't be read, or something in it can't be removed.
    """
    with storage_errors(folder, "clean up this folder"):
        for entry in sorted(Path(folder).iterdir()):
            if entry.name.startswith(TEMPORARY):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def sync_directory(folder: PathLike) -> None:
    """Sync the entries of a folder to the disk, as `fsync` does for the content of a file.

    Raises:
        OSError: Syncing failed. File systems that can't sync folders are not an error.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at_once(descriptor: int, line: bytes) -> None:
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the error that the next write would raise


def _is_safe(name: str) -> bool:
    return _SAFE.fullmatch(name) is not None and not _RESERVED.fullmatch(name)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid in JSON")


def _message(path: Path, doing: str, error: OSError) -> str:
    what = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, f"fix the cause, {_ANOTHER}")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        blocking = next((part for part in (path, *path.parents) if part.exists() and not part.is_dir()), path)
        remedy = f"{blocking} is a file, but a folder is needed: move it away, {_ANOTHER}"
    room = "" if doing == "read" else f", {_free_space(path)}"
    return f"{path}: can't {doing}: {what[:1].lower()}{what[1:]}{room}; {remedy}"


def _free_space(path: Path) -> str:
    for folder in (path, *path.parents):
        with suppress(OSError, ValueError):
            return f"{shutil.disk_usage(folder).free:,} bytes free"
    return "free bytes unknown"
