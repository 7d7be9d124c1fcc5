"""What the formats of a run's files have in common: their version, and how a damaged one is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, SupportsFloat

from normlab.errors import StorageError

VERSION = 1
"""Version of the formats of `history.jsonl` and `result.json`; every older one stays readable."""

HISTORY = "history.jsonl"
RESULT = "result.json"
"""Names of the two files in a run's folder."""

RESTORE = "restore the file, or delete the run's folder and run the spec again"
"""What to do about a damaged run."""

NUMBER = (int, float)
"""The types of a number in JSON."""


class NewerFormat(ValueError):  # noqa: N818 - reads as it is told
    """A file is of a format that a later normlab wrote."""


def damaged(place: str, error: Exception) -> StorageError:
    """The error that tells a person of a file of a run that does not hold what normlab wrote."""
    if isinstance(error, NewerFormat):
        return StorageError(f"{place}: {error}; update normlab to read it")
    return StorageError(f"{place}: {error}; expected what normlab wrote there; {RESTORE}")


def check_version(data: Mapping[str, Any]) -> None:
    """Refuses a format that this normlab does not know.

    Raises:
        NewerFormat: a later normlab wrote it.
        ValueError: it has no version that ever was.
    """
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerFormat(f"format version {version}; expected {VERSION} or less")
    if version != VERSION:
        raise ValueError(f"format version {version!r} is unknown")


def check_types(data: Mapping[str, Any], expected: Mapping[str, tuple[type, ...]]) -> None:
    """Refuses data that does not have exactly the fields expected, each of one of its types.

    Raises:
        ValueError: a field is absent, unknown or ill-typed; says which.
    """
    for name in (*expected, *data):
        if name not in data or name not in expected:
            raise ValueError(f"{name}: {'unknown' if name in data else 'absent'}")
        if not isinstance(data[name], expected[name]) or isinstance(data[name], bool):
            raise ValueError(f"{name}: ill-typed: {data[name]!r}")  # noqa: TRY004 - the file is wrong, not a caller


def finite_or_none(value: SupportsFloat | None) -> float | None:
    """The number as a Python float, or None if it is missing or not finite."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None
