"""How arms are told apart in tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.spec.dump import in_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def labels(key: str, values: Sequence[Any]) -> list[str]:
    """A label for each value of a scientific key: as short as keeps them apart.

    A part is its name, with its parameters if two have that name; any other value stands behind the last word of its
    key: `batch_size 64`.
    """
    short = [_short(value) for value in values]
    if all(short):
        return [name if short.count(name) == 1 else _long(value) for name, value in zip(map(str, short), values)]
    return [f"{key.rsplit('.', 1)[-1]} {in_line(value)}" for value in values]


def _short(value: Any) -> str | None:
    """The name of a part, or the names of several that act together; None for what is no part."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return str(value["name"]) if "name" in value else None
    if isinstance(value, (list, tuple)) and value and all(map(_short, value)):
        return "+".join(str(_short(item)) for item in value)
    return None


def _long(value: Any) -> str:
    if isinstance(value, dict):
        parameters = [f"{name}={in_line(item)}" for name, item in value.items() if name != "name"]
        return " ".join([str(value["name"]), *parameters])
    return "+".join(map(_long, value)) if isinstance(value, (list, tuple)) else str(value)
