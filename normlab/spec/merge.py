"""How one spec extends another, and how a single setting is replaced.

A child's value wins; mappings merge key by key; a list replaces a list. A part (a norm, a model, an optimizer, ...)
with another name replaces the parent's part whole, because the parent's parameters are those of another part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.errors import SpecError
from normlab.spec.node import Entry, Node, Path
from normlab.spec.words import listed, shown

if TYPE_CHECKING:
    from normlab.spec.place import Place


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
