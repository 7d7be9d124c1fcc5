"""The words in which errors speak of values and names: one line, short, printable."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 40


def brief(text: str, longest: int = _LONGEST) -> str:
    """Make any text safe to print in one line: escapes what is not printable, cuts what is too long."""
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in cut)


def shown(value: Any) -> str:
    """Name a value as its author wrote it: `'fast'`, `0.1`, `true`, `null`, `a list of 3`, `a mapping`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"'{brief(value)}'"
    if isinstance(value, (int, float)):
        return brief(repr(value))
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


def listed(words: Iterable[str], last: str = "or") -> str:
    """Join words as a sentence does: `a, b or c`."""
    *most, final = words
    return f"{', '.join(most)} {last} {final}" if most else final


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Find the choice that was probably meant, or None if none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None
