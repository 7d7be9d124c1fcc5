"""The tree of a parsed YAML text: plain values, each with its position in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

if TYPE_CHECKING:
    from normlab.spec.values import Scalar


@dataclass(frozen=True)
class Place:
    """A position in a file or on the command line.

    Attributes:
        source: The file as the user named it, or an option such as `-s optimizer.learning_rate=0.1`.
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
"""The path from the root to a value, e.g. `("optimizer", "learning_rate")` or `("norm", 0, "epsilon")`."""


class Entry(NamedTuple):
    """One entry of a mapping: the position of the key, and the value."""

    key: Place
    node: Node


@dataclass(frozen=True)
class Node:
    """A scalar, a list or a mapping.

    Attributes:
        value: The scalar, the nodes of the list, or the entries of the mapping by key.
        place: Position of its first character.
        size: Number of nodes in this subtree, counting keys, with every alias expanded.
        height: Number of nested lists and mappings; 0 for a scalar.
    """

    value: Scalar | list[Node] | dict[str, Entry]
    place: Place
    size: int = 1
    height: int = 0

    @classmethod
    def of(cls, data: Any, place: Place) -> Node:
        """Return a tree of plain data in which every node has the same position."""
        if isinstance(data, dict):
            return cls({key: Entry(place, cls.of(value, place)) for key, value in data.items()}, place)
        if isinstance(data, (list, tuple)):
            return cls([cls.of(value, place) for value in data], place)
        return cls(data, place)

    @property
    def entries(self) -> dict[str, Entry]:
        """The entries by key; empty if this is not a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The nodes of the list; empty if this is not a list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """Return the data without positions."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def below(self, step: str | int) -> Node | None:
        """Return the node one step down the path, or None if there is none."""
        if isinstance(step, str):
            entry = self.entries.get(step)
            return entry.node if entry else None
        return self.items[step] if 0 <= step < len(self.items) else None
