"""Read data files: plain or gzipped files of a known size, and IDX, the format of MNIST.

An IDX file has two zero bytes, a type, the number of axes, their lengths as big-endian 32-bit integers, and the values.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normlab.errors import DataError

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_GZIP_WINDOW = 31  # for zlib: a window of 32 kB, gzip header and trailer
_UNSIGNED_BYTES = 0x08


@dataclass(frozen=True)
class Payload:
    """The contents of a file and the state of the file when they were read.

    Attributes:
        path: Path of the file.
        contents: Uncompressed contents.
        stamp: Size, times of modification and of inode change in nanoseconds, and inode. If it differs, the file may
            have changed.
    """

    path: Path
    contents: bytes
    stamp: tuple[int, ...]


def read(path: Path, size: int) -> Payload:
    """Read a file, and decompress it if it is gzipped.

    zlib releases the interpreter lock, so threads can read several files in parallel.

    Args:
        path: Path of the file.
        size: Expected size in bytes, uncompressed.

    Raises:
        DataError: The file is unreadable, damaged, too short or too long.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            raw = file.read()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); expected {size:,} bytes of data") from error
    contents = _decompress(raw, path, size) if raw.startswith(_GZIP) else raw
    if len(contents) != size:
        raise DataError(f"{path}: holds {len(contents):,} bytes (uncompressed); expected exactly {size:,}")
    # a program can set the time of modification back, but not that of the inode's change
    return Payload(path, contents, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))


def _decompress(raw: bytes, path: Path, size: int) -> bytes:
    """Decompress at once into one buffer of the right size: a third faster than `gzip`, and without a second copy."""
    try:
        return zlib.decompress(raw, _GZIP_WINDOW, size)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise DataError(f"{path}: damaged gzip file ({reason}); expected {size:,} bytes when uncompressed") from error


def parse_idx(contents: bytes, where: str, axes: int) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes, as a read-only view.

    Args:
        contents: Contents of the whole file, uncompressed.
        where: Name of the file, for messages.
        axes: 3 for images `(N, H, W)`, 1 for labels `(N,)`.

    Raises:
        DataError: The format, type or number of axes differs, or the file is too short or too long.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTES, axes))
    if contents[:4] != magic:
        raise DataError(
            f"{where}: starts with {contents[:4].hex(' ')}; expected {magic.hex(' ')}, IDX with {axes} axes"
        )
    start = 4 + 4 * axes
    if len(contents) < start:
        raise DataError(f"{where}: ends after {len(contents)} bytes; expected a header of {start}")
    shape = struct.unpack(f">{axes}I", contents[4:start])
    if len(contents) != start + math.prod(shape):
        raise DataError(
            f"{where}: holds {len(contents) - start:,} bytes of data; "
            f"expected {math.prod(shape):,} for the shape {shape} in its header",
        )
    return np.frombuffer(contents, np.uint8, offset=start).reshape(shape)
