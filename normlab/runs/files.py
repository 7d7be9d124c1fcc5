"""Files that are whole or absent: atomic writes, appended lines, claimed folders, names that stay inside their folder.

Whatever the operating system refuses is told as a `StorageError` with the path, what failed, the bytes that are free
and what to do. Nothing here knows what the files mean.
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
"""How the name of every unfinished file or folder begins."""

_ANOTHER = "or choose another folder with --out"
_PERMISSION = f"get the permission (`ls -ld` shows who has it), {_ANOTHER}"
_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: f"free some space there, {_ANOTHER}, and run the same command again",
    errno.EDQUOT: f"delete something, since your quota is used up, {_ANOTHER}, and run the same command again",
    errno.EFBIG: f"raise the limit of file sizes (`ulimit -f`), {_ANOTHER}",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "choose a folder that is not on a read-only file system with --out",
    errno.ENOENT: "check the path",
    errno.EISDIR: "a folder stands where a file should be: move it away",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.EIO: f"the disk may be failing: look into the system's log, {_ANOTHER}",
}

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # names of devices on Windows
_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.=,+-]{0,98}[A-Za-z0-9_=,+-])?")


@contextmanager
def storage_errors(path: PathLike, doing: str = "write") -> Iterator[None]:
    """Tells what the operating system refuses within the block as a `StorageError` about `path`.

    Args:
        path: the file or folder that a person should be told of.
        doing: what was tried with it, after "can't".

    Raises:
        StorageError: for every `OSError` of the block.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(_told(Path(path), doing, error)) from error


def write_atomically(path: PathLike, data: bytes | str) -> None:
    """Writes a file so that at every moment, even after a crash, it is wholly the old or wholly the new one.

    The bytes go to a temporary file of the same folder, are synced to the disk, and take the name in one step. A
    symbolic link of that name is replaced, not followed.

    Raises:
        StorageError: the file is not written; the old one stands, unless only the folder's own entry failed to sync.
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
    """Makes a new folder of files, built aside and synced before it takes its name: it is there wholly or not at all.

    Args:
        folder: the folder, which must not exist; what is above it must.
        files: contents by name.

    Raises:
        StorageError: it is not made; nothing is left of it.
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
    """Removes a folder with all in it; its name goes first, so that it is never seen half removed.

    Raises:
        StorageError: it can't be removed.
    """
    folder = Path(folder)
    temporary = folder.parent / temporary_name()
    with storage_errors(folder, "remove this folder"):
        folder.rename(temporary)
        shutil.rmtree(temporary)


def write_json(path: PathLike, content: object) -> None:
    """Writes strict JSON atomically: indented by 2, keys in the order given, a newline at the end.

    Raises:
        StorageError: the file can't be written.
        ValueError: a number is not finite, which JSON can't say.
    """
    write_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_bytes(path: PathLike) -> bytes:
    """The contents of an ordinary file; devices and pipes, which might never end, are refused.

    Raises:
        StorageError: there is no such file, or it can't be read.
    """
    with storage_errors(path, "read"):
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise StorageError(f"{path}: not a file; expected an ordinary file; check the path")
        return Path(path).read_bytes()


def read_json(path: PathLike) -> Any:
    """The content of a file of strict JSON.

    Raises:
        StorageError: the file can't be read, or is no JSON; NaN and Infinity are none.
    """
    raw = read_bytes(path)
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = f"{path}:{error.lineno}:{error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
    except RecursionError:
        problem = f"{path}: nested too deeply"
    except ValueError as error:  # bytes that are no text, a constant refused, an integer of thousands of digits
        problem = f"{path}: {error}"
    raise StorageError(f"{problem}; expected JSON as normlab writes it; the file is damaged: restore or delete it")


def append_line(target: int | PathLike, text: str) -> None:
    """Appends one line by a single write, so that lines of several processes never mix.

    Args:
        target: a path (the file is made if it is absent), or a descriptor opened with `O_APPEND`.
        text: the line, without its newline.

    Raises:
        StorageError: the line is not, or not wholly, appended to a path.
        OSError: the same for a descriptor, whose path is the caller's to tell.
        ValueError: the text has a newline inside.
    """
    if "\n" in text:
        raise ValueError("a line has no newline inside")
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
    """Makes the folder `root/name/.../name` and thereby claims it: of several processes only one succeeds.

    Folders above the last are made where they are absent; the last must be new.

    Args:
        root: made with its parents where it is absent; may be a symbolic link.
        names: one or more components, each as `safe_name` gives it.

    Raises:
        FileExistsError: another has it, or had it before.
        StorageError: it can't be made, a name is unsafe, or a symbolic link leads out of the root.
    """
    for name in names:
        if not _is_safe(name):
            raise StorageError(f"{name!r}: not safe as the name of a folder; expected one such as {safe_name(name)!r}")
    root = Path(root)
    folder = root.joinpath(*names)
    with storage_errors(folder, "make this folder"):
        root.mkdir(parents=True, exist_ok=True)
        inside(root, folder)
        for above in reversed(list(folder.parents)[: len(names) - 1]):
            above.mkdir(exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(_told(folder, "make this folder", error)) from error
    with storage_errors(folder):
        sync_directory(folder.parent)
    return folder


def safe_name(text: str) -> str:
    """A name for one file or folder made of any text: at most 100 ASCII letters, digits and `_.=,+-`.

    A text that serves is returned as it is. Of any other, what is not allowed becomes `-` and a digest of the whole
    is added, so that two different texts don't share a file. The result is never hidden, never `..`, never a device
    of Windows, and has no separator.
    """
    if _is_safe(text):
        return text
    plain = unicodedata.normalize("NFKD", text)
    kept = re.sub(r"[^A-Za-z0-9_.=,+-]+", "-", plain).strip("-.")[:80].lstrip("_=,+-.")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{digest}" if kept and not _RESERVED.fullmatch(kept) else f"name-{digest}"


def inside(root: PathLike, path: PathLike) -> Path:
    """The path with all symbolic links followed, if it lies in the root.

    Raises:
        StorageError: it leads out of the root.
    """
    if "\0" in os.fspath(path):
        raise StorageError(
            f"{os.fspath(path)!r}: no path, for it has a NUL byte; expected one inside {root}; rename it"
        )
    real_root, real = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    if real != real_root and real_root not in real.parents:
        raise StorageError(f"{path}: leads out of {root}, to {real}; remove the link or the '..' in it")
    return real


def checksum(text: str) -> str:
    """Eight hexadecimal digits that tell whether a short text is still the same: the first of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def temporary_name() -> str:
    """A new name for an unfinished file or folder; it is to be renamed within its folder when it is whole."""
    return f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"


def remove_leftovers(folder: PathLike) -> None:
    """Removes what a killed process left unfinished in a folder; only for who holds the folder's lock.

    Raises:
        StorageError: the folder can't be read, or something in it can't be removed.
    """
    with storage_errors(folder, "tidy this folder"):
        for entry in sorted(Path(folder).iterdir()):
            if entry.name.startswith(TEMPORARY):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def sync_directory(folder: PathLike) -> None:
    """Makes the names in a folder durable, as `fsync` does the contents of a file.

    Raises:
        OSError: the disk refuses; file systems that can't sync folders are let pass.
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
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what the system says at the next write


def _is_safe(name: str) -> bool:
    return _SAFE.fullmatch(name) is not None and not _RESERVED.fullmatch(name)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _told(path: Path, doing: str, error: OSError) -> str:
    what = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, f"mend it, {_ANOTHER}")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        blocking = next((part for part in (path, *path.parents) if part.exists() and not part.is_dir()), path)
        remedy = f"{blocking} is a file where a folder is needed: move it away, {_ANOTHER}"
    room = "" if doing == "read" else f", {_free(path)}"
    return f"{path}: can't {doing}: {what[:1].lower()}{what[1:]}{room}; {remedy}"


def _free(path: Path) -> str:
    for folder in (path, *path.parents):
        with suppress(OSError, ValueError):
            return f"{shutil.disk_usage(folder).free:,} bytes free"
    return "free bytes unknown"
