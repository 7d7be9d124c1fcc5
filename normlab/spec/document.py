"""The settings of a spec before validation: plain data with the place of each value.

A spec may extend another, and single settings may be replaced; both happen here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from normlab.errors import SpecError
from normlab.spec.node import Entry, Node, Path, Place
from normlab.spec.words import brief, listed, shown
from normlab.spec.yaml import MAX_DEPTH, MAX_NODES, compose


def merge(parent: Node, child: Node, *, root: bool = True) -> Node:
    """Lay `child` over `parent`.

    Args:
        parent: The settings that hold where the child says nothing.
        child: The settings that win.
        root: Whether these are whole specs, whose `name` is no part's name.
    """
    if not isinstance(child.value, dict):
        return child
    if not root and _is_other_part(parent, child):
        return child
    entries = dict(_as_block(parent).entries)
    for key, (place, node) in child.value.items():
        old = entries.get(key)
        entries[key] = Entry(place, merge(old.node, node, root=False) if old else node)
    return Node(entries, child.place)


def replace(node: Node, path: Path, value: Node, place: Place) -> Node:
    """Put `value` at `path`, making the blocks that are missing on the way.

    Args:
        node: The settings so far.
        path: The way to the value; a number is an index into a list.
        value: What to put there.
        place: What is named as the place of a key that is made, and by errors.

    Raises:
        SpecError: The way leads through something that is neither block, part name nor list.
    """
    return _replace(node, path, value, place, ())


def _replace(node: Node, path: Path, value: Node, place: Place, above: Path) -> Node:
    if not path:
        return value
    step, *rest = path
    here = (*above, step)
    if isinstance(node.value, list):
        index = _index(node, step, place, above)
        items = list(node.value)
        items[index] = _replace(items[index], tuple(rest), value, place, here)
        return Node(items, node.place)
    entries = dict(_block(node, step, place, above).entries)
    old = entries.get(str(step))
    below = old.node if old else Node(None, place)
    entries[str(step)] = Entry(old.key if old and rest else place, _replace(below, tuple(rest), value, place, here))
    return Node(entries, node.place)


def _block(node: Node, step: str | int, place: Place, above: Path) -> Node:
    block = _as_block(node)
    if isinstance(block.value, dict) and not isinstance(step, int):
        return block
    if node.value is None and not isinstance(step, int):
        return Node({}, place)
    what = f"{dotted(above)} is {shown(node.plain())}"
    if isinstance(step, int):
        raise SpecError(f"{place}: {what}, not a list; expected no index; leave out '{step}'")
    raise SpecError(f"{place}: {what}; expected a block that holds {step!r}")


def _index(node: Node, step: str | int, place: Place, above: Path) -> int:
    indices = [str(index) for index in range(len(node.items))]
    if str(step) in indices:
        return int(step)
    ways = listed(dotted((*above, index)) for index in indices[:5]) if indices else f"{dotted(above)}=[...]"
    raise SpecError(f"{place}: {dotted(above)} is a list of {len(indices)}; expected an index; say {ways}")


def _as_block(node: Node) -> Node:
    """Write a part that is only a name as a mapping: `batch` is `{name: batch}`."""
    if isinstance(node.value, str):
        return Node({"name": Entry(node.place, node)}, node.place)
    return node


def _is_other_part(parent: Node, child: Node) -> bool:
    old, new = _as_block(parent).below("name"), child.below("name")
    return old is not None and new is not None and old.plain() != new.plain()


def dotted(path: Path) -> str:
    """Write a path as the command line does: `norm.0.epsilon`."""
    return ".".join(str(step) for step in path)


_SETTING = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100})*")
_INDEX = re.compile(r"[0-9]{1,4}")
_LONGEST_OVERRIDE = 60


@dataclass(frozen=True)
class Document:
    """A mapping of settings, with places.

    Attributes:
        root: The tree of settings.
    """

    root: Node

    @classmethod
    def parse(cls, text: str, source: str = "<text>", *, max_nodes: int = MAX_NODES) -> Document:
        """Read YAML text that holds one mapping.

        Raises:
            SpecError: It is not valid, or no mapping; see `normlab.spec.yaml.compose`.
        """
        root = compose(text, source, max_nodes=max_nodes)
        if root.value is None:
            raise SpecError(f"{root.place}: no settings; expected a mapping such as 'dataset: mnist'")
        if not isinstance(root.value, dict):
            what = f"{shown(root.plain())} at the top; expected a mapping such as 'dataset: mnist'"
            raise SpecError(f"{root.place}: {what}")
        return cls(root)

    @classmethod
    def of(cls, data: dict[str, Any], source: str) -> Document:
        """Wrap plain data that was not read from a file."""
        return cls(Node.of(data, Place(source)))

    @cached_property
    def data(self) -> dict[str, Any]:
        """The settings as plain data."""
        plain: dict[str, Any] = self.root.plain()
        return plain

    @cached_property
    def places(self) -> dict[Path, Place]:
        """The place of every value by its path."""
        found: dict[Path, Place] = {}
        _collect(self.root, (), found)
        return found

    def place(self, path: Path) -> Place:
        """Tell where the value at `path` stands; if it is not there, where its nearest enclosing block stands."""
        node, _ = self._walk(path)
        return node.place

    def key_place(self, path: Path) -> Place:
        """Tell where the key at the end of `path` stands; for an entry of a list, where its value does."""
        node, taken = self._walk(path[:-1])
        if taken == len(path) - 1 and path[-1] in node.entries:
            return node.entries[str(path[-1])].key
        return self.place(path)

    def resolve(self, location: Path) -> Path:
        """Turn a location in the spec's models into the path at which it is written here.

        A single norm need not be written as a list, and a part's parameters stand beside its name: so
        `("norm", 0, "parameters", "epsilon")` is `("norm", "epsilon")` where the file says `norm: {epsilon: 0.1, ...}`,
        and `("norm",)` where it says `norm: batch`. Steps that are not written here are left out.
        """
        node, path = self.root, []
        for step in location:
            below = node.below(step)
            if below is not None:
                node = below
                path.append(step)
        return tuple(path)

    def merged(self, child: Document) -> Document:
        """Lay another document over this one; see `normlab.spec.document`."""
        return Document(merge(self.root, child.root))

    def with_override(self, override: str) -> Document:
        """Apply one `key.key=value` of the command line; the value is YAML and replaces what is there.

        Raises:
            SpecError: It is not of this form, the value is not valid, or the key leads nowhere.
        """
        place = Place(f"-s {brief(override, _LONGEST_OVERRIDE)}")
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not _SETTING.fullmatch(key):
            raise SpecError(f"{place}: no setting; expected key=value, such as optimizer.learning_rate=0.1")
        if not text.strip():
            example = f"{brief(key)}=null for no value, or {brief(key)}='\"\"' for empty text"
            raise SpecError(f"{place}: no value after '='; expected one; write {example}")
        path = tuple(int(step) if _INDEX.fullmatch(step) else step for step in key.split("."))
        if len(path) > MAX_DEPTH:
            raise SpecError(f"{place}: over {MAX_DEPTH} blocks inside each other; expected fewer")
        value = compose(text, place.source, lines=False)
        return self.with_value(path, value.plain(), place)

    def with_value(self, path: Path, value: Any, place: Place) -> Document:
        """Put a plain value at `path`, and name `place` as where it was written.

        Raises:
            SpecError: The path leads through something that is no block.
        """
        return Document(replace(self.root, path, Node.of(value, place), place))

    def _walk(self, path: Path) -> tuple[Node, int]:
        node, taken = self.root, 0
        for step in path:
            below = node.below(step)
            if below is None:
                break
            node, taken = below, taken + 1
        return node, taken


def _collect(node: Node, path: Path, found: dict[Path, Place]) -> None:
    found[path] = node.place
    for key, entry in node.entries.items():
        _collect(entry.node, (*path, key), found)
    for index, item in enumerate(node.items):
        _collect(item, (*path, index), found)
