"""What a plain word in a spec means, by the core schema of YAML 1.2.

PyYAML follows YAML 1.1, in which `no` is false, `012` is 10, `12:30:45` is 45045 and `1e-3` is text. Here `no`, `off`,
times and dates are text, `1e-3` is a number, and what people read in two ways (`012`) is refused.

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


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's interface
        """Write everything out: an alias is harder to read than a repetition."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _stays_text(text) else '"')


def _stays_text(text: str) -> bool:
    try:
        return resolve(text) == text and text.isprintable()
    except ValueError:
        return False


_Dumper.add_representer(str, _represent_text)


def to_yaml(data: dict[str, Any]) -> str:
    """Write a block of settings, one a line, in the order given; the innermost lists and mappings in one line."""
    return _written(data, inner=None)


def in_line(value: Any) -> str:
    """Write one value as it may stand behind a key: `{name: sgd, learning_rate: 0.01}`."""
    return _written(value, inner=True).removesuffix("\n").removesuffix("\n...")


def _written(value: Any, inner: bool | None) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=inner
    )
    return text
