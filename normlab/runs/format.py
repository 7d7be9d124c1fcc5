"""Common parts of the file formats of a run: the version, type checks, and errors for damaged files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, SupportsFloat

from normlab.errors import StorageError

VERSION = 1
"""Version of the formats of `history.jsonl` and `result.json`. All older versions stay readable."""

HISTORY = "history.jsonl"
RESULT = "result.json"
"""Names of the two files in the folder of a run."""

RESTORE = "restore the file, or delete the run's folder and run the spec again"
"""Advice for a damaged run, at the end of errors."""

NUMBER = (int, float)
"""The Python types of a JSON number."""


class NewerFormat(ValueError):  # noqa: N818 - reads better without "Error"
    """A file has a format of a later version of normlab."""


def damaged(place: str, error: Exception) -> StorageError:
    """Return the error for a file of a run whose content is not what normlab wrote."""
    if isinstance(error, NewerFormat):
        return StorageError(f"{place}: {error}; update normlab to read it")
    return StorageError(f"{place}: {error}; expected the content that normlab wrote; {RESTORE}")


def check_version(data: Mapping[str, Any]) -> None:
    """Check that this version of normlab can read the format.

    Raises:
        NewerFormat: A later version of normlab wrote the file.
        ValueError: The version does not exist.
    """
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerFormat(f"format version {version}; expected {VERSION} or less")
    if version != VERSION:
        raise ValueError(f"format version {version!r} is unknown")


def check_types(data: Mapping[str, Any], expected: Mapping[str, tuple[type, ...]]) -> None:
    """Check that data has exactly the expected fields, each with one of its types.

    Raises:
        ValueError: A field is missing, unknown or has the wrong type; the message names the field.
    """
    for name in (*expected, *data):
        if name not in data or name not in expected:
            raise ValueError(f"{name}: {'unknown' if name in data else 'missing'}")
        if not isinstance(data[name], expected[name]) or isinstance(data[name], bool):
            raise ValueError(f"{name}: wrong type: {data[name]!r}")  # noqa: TRY004 - the file is wrong, not the caller


def finite_or_none(value: SupportsFloat | None) -> float | None:
    """Return the number as a Python float, or None if it is None or not finite."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None
