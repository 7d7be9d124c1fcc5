"""Reads IDX, the format of MNIST: two zero bytes, type, number of axes, lengths as big-endian 32 bits, then the bytes.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", file formats.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from normlab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
