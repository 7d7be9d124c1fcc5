"""The tree of blocks that a Gluon network is: walk it, name its blocks, put others in their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from normlab.backend.mxnet import mxnet

gluon = mxnet().gluon


def sequence(children: Iterable[tuple[str, Any]]) -> Any:
    """Blocks that run one after the other, each under its own name."""
    block = gluon.nn.HybridSequential()
    for name, child in children:
        block.register_child(child, name)
    return block


def children(block: Any) -> list[tuple[str, Any]]:
    """The children that Gluon knows of, with their names."""
    return list(block._children.items())  # noqa: SLF001 - Gluon has no public name for children


def own_parameters(block: Any) -> dict[str, Any]:
    """The parameters of a block itself, without those of its children, by name."""
    return dict(block._reg_params)  # noqa: SLF001 - Gluon has no public name for a block's own parameters


def named_blocks(block: Any) -> dict[str, Any]:
    """A network and all blocks in it, each once, by structural name; the network's own is ""."""
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
    """A block and all blocks in it, each once, in order."""
    yield from named_blocks(block).values()


def anywhere(block: Any) -> list[Any]:
    """All blocks that can be reached: children, attributes, and what lists, tuples and dictionaries in them hold."""
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
    """Put other blocks in the places of some, wherever a network holds them.

    Args:
        block: The network.
        new: The blocks to put in, by the `id` of those that they replace.
    """
    for inner in anywhere(block):
        if id(inner) not in new:
            for attribute, value in list(vars(inner).items()):
                put = _substituted(value, new)
                if put is not value:
                    # Gluon's own __setattr__ refuses another type, and would list it as a child
                    object.__setattr__(inner, attribute, put)


def _substituted(value: Any, new: Mapping[int, Any]) -> Any:
    """What stands for a value afterwards: lists and dictionaries are changed in place."""
    if isinstance(value, gluon.Block):
        return new.get(id(value), value)
    if isinstance(value, dict):
        for key, item in list(value.items()):
            value[key] = _substituted(item, new)
    elif isinstance(value, list):
        value[:] = [_substituted(item, new) for item in value]
    elif isinstance(value, tuple) and type(value) is tuple:
        put = tuple(_substituted(item, new) for item in value)
        return put if any(a is not b for a, b in zip(put, value)) else value
    return value
