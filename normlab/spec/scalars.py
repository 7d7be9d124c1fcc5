"""What a plain word in a spec means, by the core schema of YAML 1.2.

PyYAML follows YAML 1.1, in which `no` is false, `012` is 10, `12:30:45` is 45045 and `1e-3` is text. Here `no`, `off`,
times and dates are text, `1e-3` is a number, and what people read in two ways (`012`) is refused.

Source: YAML 1.2.2, section 10.3 (yaml.org/spec/1.2.2).
"""

from __future__ import annotations

import math
import re
from typing import Union

Scalar = Union[str, int, float, bool, None]

LONGEST_KEY = 100
"""Characters of the longest key."""

_CONSTANTS: dict[str, Scalar] = {"": None, "~": None}
_CONSTANTS.update(dict.fromkeys(("null", "Null", "NULL")))
_CONSTANTS.update(dict.fromkeys(("true", "True", "TRUE"), True))
_CONSTANTS.update(dict.fromkeys(("false", "False", "FALSE"), False))

_FIRST_OF_NUMBERS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_MOST_DIGITS = 20  # longer than any 64-bit integer; Python itself refuses to convert thousands of digits
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def resolve(text: str) -> Scalar:
    """Read a plain (unquoted) word.

    Raises:
        ValueError: It is a number that can't be held, or one that people read in two ways.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return _number(text) if text[0] in _FIRST_OF_NUMBERS else text


def _number(text: str) -> int | float | str:
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError("a whole number can't begin with 0; drop the zero, or put quotes around it if it is text")
    if _DECIMAL.fullmatch(text):
        return checked_integer(int(text) if len(text) <= _MOST_DIGITS else _LARGEST + 1)
    if _OTHER_BASE.fullmatch(text):
        return checked_integer(int(text[2:], 8 if text[1] == "o" else 16))
    if _FLOAT.fullmatch(text):
        return checked_float(float(text))
    if _NOT_FINITE.fullmatch(text):
        return checked_float(math.inf)
    return text


def checked_integer(value: int) -> int:
    """Return `value`, or raise ValueError if it does not fit in 64 bits."""
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError("a whole number of more than 64 bits; expected a smaller one, or quotes around it")
    return value


def checked_float(value: float) -> float:
    """Return `value`, or raise ValueError if it is infinite or not a number."""
    if not math.isfinite(value):
        raise ValueError("not a finite number; expected a number that a float can hold")
    return value


def checked_text(value: str) -> str:
    """Return `value`, or raise ValueError if it holds control characters (tab and line feed are allowed)."""
    found = _CONTROL.search(value)
    if found:
        raise ValueError(f"text with the control character U+{ord(found.group()):04X}; expected printable text")
    return value


def checked_key(value: str) -> str:
    """Return `value`, or raise ValueError if it can't be a key: empty, over 100 characters, not printable."""
    if not value or not value.isprintable():
        raise ValueError("a key that is empty or can't be printed; expected a name such as learning_rate")
    if len(value) > LONGEST_KEY:
        raise ValueError(f"a key of {len(value)} characters; expected at most {LONGEST_KEY}")
    return value
