"""Plain data to YAML text that reads back as the same data, here and in readers of YAML 1.1."""

from __future__ import annotations

import math
from typing import Any

import yaml

from normlab.spec.scalars import resolve


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
