"""The settings of a spec before validation: plain data with the position of each value.

A spec can extend another spec, and the command line can override single settings. Both are implemented here.
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
    """Merge two trees of settings.

    Args:
        parent: Settings that apply where the child has none.
        child: Settings that take precedence.
        root: Whether these are whole specs. The `name` of a spec, unlike that of a part, does not decide whether the
            two are merged.
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
    """Set the value at a path, and create the blocks that are missing on the way to it.

    Args:
        node: The settings so far.
        path: Path to the value; a number is an index into a list.
        value: The new value.
        place: Position of the keys that are created; errors name it too.

    Raises:
        SpecError: The path leads through something other than a block, the name of a part, or a list.
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
        raise SpecError(f"{place}: {what}, not a list; expected no index; remove '{step}'")
    raise SpecError(f"{place}: {what}; expected a block with {step!r}")


def _index(node: Node, step: str | int, place: Place, above: Path) -> int:
    indices = [str(index) for index in range(len(node.items))]
    if str(step) in indices:
        return int(step)
    ways = listed(dotted((*above, index)) for index in indices[:5]) if indices else f"{dotted(above)}=[...]"
    raise SpecError(f"{place}: {dotted(above)} is a list of {len(indices)}; expected an index; write {ways}")


def _as_block(node: Node) -> Node:
    """Write a part that is only a name as a mapping: `batch` becomes `{name: batch}`."""
    if isinstance(node.value, str):
        return Node({"name": Entry(node.place, node)}, node.place)
    return node


def _is_other_part(parent: Node, child: Node) -> bool:
    old, new = _as_block(parent).below("name"), child.below("name")
    return old is not None and new is not None and old.plain() != new.plain()


def dotted(path: Path) -> str:
    """Format a path as on the command line: `norm.0.epsilon`."""
    return ".".join(str(step) for step in path)


_SETTING = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100})*")
_INDEX = re.compile(r"[0-9]{1,4}")
_LONGEST_OVERRIDE = 60


@dataclass(frozen=True)
class Document:
    """A mapping of settings, with the position of each.

    Attributes:
        root: The tree of settings.
    """

    root: Node

    @classmethod
    def parse(cls, text: str, source: str = "<text>", *, max_nodes: int = MAX_NODES) -> Document:
        """Read YAML text that contains one mapping.

        Raises:
            SpecError: The text is not valid or is not a mapping; see `normlab.spec.yaml.compose`.
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
        """Return a document of plain data that was not read from a file."""
        return cls(Node.of(data, Place(source)))

    @cached_property
    def data(self) -> dict[str, Any]:
        """The settings as plain data."""
        plain: dict[str, Any] = self.root.plain()
        return plain

    @cached_property
    def places(self) -> dict[Path, Place]:
        """The position of every value, by its path."""
        found: dict[Path, Place] = {}
        _collect(self.root, (), found)
        return found

    def place(self, path: Path) -> Place:
        """Return the position of the value at `path`, or of the nearest enclosing block if there is no such value."""
        node, _ = self._walk(path)
        return node.place

    def key_place(self, path: Path) -> Place:
        """Return the position of the key at the end of `path`; for an item of a list, the position of its value."""
        node, taken = self._walk(path[:-1])
        if taken == len(path) - 1 and path[-1] in node.entries:
            return node.entries[str(path[-1])].key
        return self.place(path)

    def resolve(self, location: Path) -> Path:
        """Convert a location in the models of a spec into a path in this document.

        The two differ because a single norm can be written without a list, and because the parameters of a part are
        written next to its name. For example, `("norm", 0, "parameters", "epsilon")` becomes `("norm", "epsilon")` if
        the file has `norm: {epsilon: 0.1, ...}`, and `("norm",)` if it has `norm: batch`. Steps that are not in the
        document are left out.
        """
        node, path = self.root, []
        for step in location:
            below = node.below(step)
            if below is not None:
                node = below
                path.append(step)
        return tuple(path)

    def merged(self, child: Document) -> Document:
        """Return this document with the settings of another one merged over it."""
        return Document(merge(self.root, child.root))

    def with_override(self, override: str) -> Document:
        """Return this document with one `key.key=value` of the command line applied.

        The value is YAML and replaces the value at the key.

        Raises:
            SpecError: The override does not have this form, the value is not valid YAML, or nothing can be set at the
                key.
        """
        place = Place(f"-s {brief(override, _LONGEST_OVERRIDE)}")
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not _SETTING.fullmatch(key):
            raise SpecError(f"{place}: not a setting; expected key=value, such as optimizer.learning_rate=0.1")
        if not text.strip():
            example = f"{brief(key)}=null for no value, or {brief(key)}='\"\"' for empty text"
            raise SpecError(f"{place}: no value after '='; write {example}")
        path = tuple(int(step) if _INDEX.fullmatch(step) else step for step in key.split("."))
        if len(path) > MAX_DEPTH:
            raise SpecError(f"{place}: blocks nested over {MAX_DEPTH} levels deep; expected fewer levels")
        value = compose(text, place.source, lines=False)
        return self.with_value(path, value.plain(), place)

    def with_value(self, path: Path, value: Any, place: Place) -> Document:
        """Return this document with a plain value set at `path`, whose position is `place`.

        Raises:
            SpecError: The path leads through something that is not a block.
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
