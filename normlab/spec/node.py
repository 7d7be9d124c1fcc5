"""The tree that a YAML text becomes: plain values, each with the place where it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

if TYPE_CHECKING:
    from normlab.spec.values import Scalar


@dataclass(frozen=True)
class Place:
    """A position in a file, or a part of the command line.

    Attributes:
        source: The file as the person named it, or e.g. `-s optimizer.learning_rate=0.1`.
        line: Counted from 1; None if the source has no lines.
        column: Counted from 1, in characters; None if the source has no lines.
    """

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.source
        return f"{self.source}:{self.line}:{self.column or 1}"


Path = tuple[Union[str, int], ...]
"""The way from the root to a value, e.g. `("optimizer", "learning_rate")` or `("norm", 0, "epsilon")`."""


class Entry(NamedTuple):
    """One key of a mapping: where the key stands, and what it holds."""

    key: Place
    node: Node


@dataclass(frozen=True)
class Node:
    """A scalar, a list or a mapping.

    Attributes:
        value: The scalar, the list's nodes, or the mapping's entries by key.
        place: Where it begins.
        size: Nodes in this subtree, keys included, as if every alias were written out.
        height: Lists and mappings on the longest way down; 0 for a scalar.
    """

    value: Scalar | list[Node] | dict[str, Entry]
    place: Place
    size: int = 1
    height: int = 0

    @classmethod
    def of(cls, data: Any, place: Place) -> Node:
        """Build a tree of plain data whose every part has the same place."""
        if isinstance(data, dict):
            return cls({key: Entry(place, cls.of(value, place)) for key, value in data.items()}, place)
        if isinstance(data, (list, tuple)):
            return cls([cls.of(value, place) for value in data], place)
        return cls(data, place)

    @property
    def entries(self) -> dict[str, Entry]:
        """The entries by key; empty if this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The list's nodes; empty if this is no list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """Give the data without the places."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def below(self, step: str | int) -> Node | None:
        """Go one step down; None if there is nothing."""
        if isinstance(step, str):
            entry = self.entries.get(step)
            return entry.node if entry else None
        return self.items[step] if 0 <= step < len(self.items) else None
