"""Read data files: gzipped or plain bytes of exactly the expected size, and IDX, the format of MNIST.

IDX has two zero bytes, a type, the number of axes, the lengths as big-endian 32-bit numbers, and then the values.
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
_GZIP_WINDOW = 31  # zlib's word for: 32 kB window, gzip header and trailer


@dataclass(frozen=True)
class Payload:
    """Contents of a file and the state of the file when they were read.

    Attributes:
        path: of the file.
        contents: uncompressed.
        stamp: size, times of change in nanoseconds, inode: another stamp means that the file may have changed.
    """

    path: Path
    contents: bytes
    stamp: tuple[int, ...]


def read(path: Path, size: int) -> Payload:
    """Read a file and inflate it if it is a gzip; zlib releases the interpreter, so several can be read at once.

    Args:
        path: of the file.
        size: bytes that it must have, uncompressed.

    Raises:
        DataError: unreadable, damaged, too short or too long.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            raw = file.read()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); expected {size:,} bytes of data") from error
    contents = _inflated(raw, path, size) if raw.startswith(_GZIP) else raw
    if len(contents) != size:
        raise DataError(f"{path}: holds {len(contents):,} bytes (uncompressed); expected exactly {size:,}")
    # A tool may set the time of modification back; that of the inode's change it can't.
    return Payload(path, contents, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))


def _inflated(raw: bytes, path: Path, size: int) -> bytes:
    """All at once into one buffer of the right size: a third faster than gzip, and no second copy."""
    try:
        return zlib.decompress(raw, _GZIP_WINDOW, size)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise DataError(f"{path}: damaged gzip file ({reason}); expected {size:,} bytes when uncompressed") from error


_UNSIGNED_BYTES = 0x08


def parse(contents: bytes, where: str, axes: int) -> NDArray[np.uint8]:
    """Give the array in an IDX file of unsigned bytes, as a view that can't be written.

    Args:
        contents: the whole file, uncompressed.
        where: its name, for the message.
        axes: 3 for images `(N, H, W)`, 1 for labels `(N,)`.

    Raises:
        DataError: another format, type or number of axes; too short or too long.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTES, axes))
    if contents[:4] != magic:
        raise DataError(f"{where}: begins with {contents[:4].hex(' ')}; expected {magic.hex(' ')}, IDX of {axes} axes")
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
