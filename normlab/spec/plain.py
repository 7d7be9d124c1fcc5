"""Which Python values a spec can hold: those that YAML gives back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.spec.scalars import checked_float, checked_integer, checked_key, checked_text

_DEEPEST = 12  # a parameter is at most this deep, so that a whole spec stays within the depth that files may have


def plain(value: Any, depth: int = 0) -> Any:
    """Copy a value into plain types: text, whole number, float, bool, None, list, dict with text keys.

    Raises:
        ValueError: It holds something else, an infinite number, control characters, or is nested over 12 deep.
    """
    if depth > _DEEPEST:
        raise ValueError(f"over {_DEEPEST} lists and mappings inside each other; expected fewer")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return checked_text(str(value))
    if isinstance(value, int):
        return checked_integer(int(value))
    if isinstance(value, float):
        return checked_float(float(value))
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    raise ValueError(f"a {type(value).__name__}; expected text, a number, true, false, null, a list or a mapping")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key that is a {type(key).__name__}; expected text")  # noqa: TRY004 - pydantic reports it
    return checked_key(str(key))
