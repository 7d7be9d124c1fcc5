"""Convert scalars between YAML text and Python, by the core schema of YAML 1.2.

PyYAML follows YAML 1.1, in which `no` is false, `012` is 10, `12:30:45` is 45045 and `1e-3` is text. Here `no`, `off`,
times and dates are text, `1e-3` is a number, and ambiguous numbers such as `012` are errors.

Source: YAML 1.2.2, section 10.3 (yaml.org/spec/1.2.2).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Union

import yaml

Scalar = Union[str, int, float, bool, None]

LONGEST_KEY = 100
"""Maximum number of characters in a key."""

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
    """Return the value of a plain (unquoted) scalar.

    Raises:
        ValueError: The scalar is a number that is too large or ambiguous.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return _number(text) if text[0] in _FIRST_OF_NUMBERS else text


def _number(text: str) -> int | float | str:
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError("a whole number can't begin with 0; remove the zero, or quote the value if it is text")
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
    """Return `value`, or raise ValueError if it needs more than 64 bits."""
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError("a whole number of more than 64 bits; expected a smaller number, or quoted text")
    return value


def checked_float(value: float) -> float:
    """Return `value`, or raise ValueError if it is infinite or not a number."""
    if not math.isfinite(value):
        raise ValueError("not a finite number; expected a number that fits in a float")
    return value


def checked_text(value: str) -> str:
    """Return `value`, or raise ValueError if it contains control characters other than tab and line feed."""
    found = _CONTROL.search(value)
    if found:
        raise ValueError(f"text with the control character U+{ord(found.group()):04X}; expected printable text")
    return value


def checked_key(value: str) -> str:
    """Return `value`, or raise ValueError if it is empty, longer than 100 characters or not printable."""
    if not value or not value.isprintable():
        raise ValueError("a key that is empty or not printable; expected a name such as learning_rate")
    if len(value) > LONGEST_KEY:
        raise ValueError(f"a key of {len(value)} characters; expected at most {LONGEST_KEY}")
    return value


_DEEPEST = 12  # for a parameter, so that a whole spec stays within the maximum depth of a file


def plain(value: Any, depth: int = 0) -> Any:
    """Return a copy of a value in plain types: str, int, float, bool, None, list, and dict with str keys.

    Raises:
        ValueError: The value contains another type, a number that is not finite or control characters, or is nested
            over 12 levels deep.
    """
    if depth > _DEEPEST:
        raise ValueError(f"lists and mappings nested over {_DEEPEST} levels deep; expected fewer levels")
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
    what = f"an object of type {type(value).__name__}"
    raise ValueError(f"{what}; expected text, a number, true, false, null, a list or a mapping")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key of type {type(key).__name__}; expected text")  # noqa: TRY004 - pydantic reports it
    return checked_key(str(key))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        """Expand all aliases, since repetition is easier to read."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _reads_as_text(text) else '"')


def _reads_as_text(text: str) -> bool:
    try:
        return resolve(text) == text and text.isprintable()
    except ValueError:
        return False


_Dumper.add_representer(str, _represent_text)


def to_yaml(data: dict[str, Any]) -> str:
    """Return YAML with one setting per line, in the given order; innermost lists and mappings take one line each."""
    return _dump(data, inner=None)


def in_line(value: Any) -> str:
    """Return YAML of one value on one line: `{name: sgd, learning_rate: 0.01}`."""
    return _dump(value, inner=True).removesuffix("\n").removesuffix("\n...")


def _dump(value: Any, inner: bool | None) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=inner
    )
    return text
