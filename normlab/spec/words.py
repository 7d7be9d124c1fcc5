"""Format values and names for error messages: short, printable, on one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from normlab import errors

_LONGEST = 40


def brief(text: str, longest: int = _LONGEST) -> str:
    """Return text that is safe to print on one line: unprintable characters are escaped, and long text is cut."""
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in cut)


def shown(value: Any) -> str:
    """Format a value as in YAML, briefly: `'fast'`, `0.1`, `true`, `null`, `a list of 3`, `a mapping`."""
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
    return f"an object of type {type(value).__name__}"


def listed(words: Iterable[str], last: str = "or") -> str:
    """Join words as in a sentence: `a, b or c`."""
    *most, final = words
    return f"{', '.join(most)} {last} {final}" if most else final


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is most similar to a word, ignoring case, or None if none is similar."""
    by_lower = {choice.lower(): choice for choice in choices}
    return by_lower.get(errors.nearest(word.lower(), by_lower))
