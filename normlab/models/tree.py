"""The tree of blocks of a Gluon network: walk it, name its blocks, replace some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from normlab.backend.mxnet import mxnet

gluon = mxnet().gluon


def sequence(children: Iterable[tuple[str, Any]]) -> Any:
    """Return a block that runs blocks in order, each under its own name."""
    block = gluon.nn.HybridSequential()
    for name, child in children:
        block.register_child(child, name)
    return block


def children(block: Any) -> list[tuple[str, Any]]:
    """Return the children that Gluon knows of, with their names."""
    return list(block._children.items())  # noqa: SLF001 - Gluon has no public name for children


def own_parameters(block: Any) -> dict[str, Any]:
    """Return the parameters of a block itself by name, without those of its children."""
    return dict(block._reg_params)  # noqa: SLF001 - Gluon has no public name for a block's own parameters


def named_blocks(block: Any) -> dict[str, Any]:
    """Return a network and all blocks in it, each once, by structural name; that of the network is ""."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def visit(name: str, here: Any) -> None:
        if id(here) not in seen:
            seen.add(id(here))
            found[name] = here
            for child_name, child in children(here):
                visit(f"{name}.{child_name}" if name else child_name, child)

    visit("", block)
    return found


def walk(block: Any) -> Iterator[Any]:
    """Yield a block and all blocks in it, each once, in order."""
    yield from named_blocks(block).values()


def find_all_blocks(block: Any) -> list[Any]:
    """Return all reachable blocks: children, attributes, and members of lists, tuples and dictionaries in them."""
    found: dict[int, Any] = {}

    def visit(value: Any) -> None:
        if isinstance(value, gluon.Block):
            if id(value) not in found:
                found[id(value)] = value
                visit(vars(value))
        elif isinstance(value, dict):
            visit(list(value.values()))
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(block)
    return list(found.values())


def substitute(block: Any, new: Mapping[int, Any]) -> None:
    """Replace blocks by others wherever a network holds them.

    Args:
        block: The network.
        new: The new blocks by the `id` of those that they replace.
    """
    for inner in find_all_blocks(block):
        if id(inner) not in new:
            for attribute, value in list(vars(inner).items()):
                replaced = _substitute_in(value, new)
                if replaced is not value:
                    # Gluon's own __setattr__ refuses a different type, and would register a child
                    object.__setattr__(inner, attribute, replaced)


def _substitute_in(value: Any, new: Mapping[int, Any]) -> Any:
    """Return the value with blocks replaced. Lists and dictionaries are changed in place."""
    if isinstance(value, gluon.Block):
        return new.get(id(value), value)
    if isinstance(value, dict):
        for key, item in list(value.items()):
            value[key] = _substitute_in(item, new)
    elif isinstance(value, list):
        value[:] = [_substitute_in(item, new) for item in value]
    elif isinstance(value, tuple) and type(value) is tuple:
        replaced = tuple(_substitute_in(item, new) for item in value)
        return replaced if any(a is not b for a, b in zip(replaced, value)) else value
    return value
