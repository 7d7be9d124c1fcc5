"""What a Gluon network does: which shapes its blocks take, which operators they run, and which feeds which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.models.tree import named_blocks, walk

mx = mxnet()

_OWNER = "__owner__"


class Shapes(NamedTuple):
    """What a first pass tells.

    Attributes:
        output: The shape of what the network gives for one example.
        inputs: The shapes of what each block takes, by the block's `id`.
    """

    output: tuple[int, ...]
    inputs: dict[int, set[tuple[int, ...]]]


class Node(NamedTuple):
    """One operator, or one variable, of a network's graph.

    Attributes:
        operator: The operator's name in MXNet, or `null` for a variable.
        owner: Structural name of the innermost block that runs it.
        inputs: The nodes that it takes, by number; the first is the data.
    """

    operator: str
    owner: str
    inputs: tuple[int, ...]


class Wiring:
    """The graph of a network of plain Gluon blocks.

    Args:
        block: The network, which takes one array.

    Attributes:
        blocks: The network's blocks by structural name.
        nodes: Its operators and variables, each after those that it takes.
        consumers: For each node the numbers of those that take what it gives.
    """

    def __init__(self, block: Any) -> None:
        self.blocks = named_blocks(block)
        names = list(self.blocks)
        with _owners_recorded(self.blocks):
            outputs = block(mx.sym.var("data"))
        graph = json.loads(mx.sym.Group(list(_flat(outputs))).tojson())
        self.nodes = [
            Node(
                node["op"],
                names[int(node.get("attrs", {}).get(_OWNER, 0))],
                tuple(source for source, *_ in node["inputs"]),
            )
            for node in graph["nodes"]
        ]
        self.consumers: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for source in node.inputs:
                self.consumers[source].append(number)

    def numbers(self, owner: str) -> list[int]:
        """The operators that a block runs itself, not through its children."""
        return [i for i, node in enumerate(self.nodes) if node.owner == owner and node.operator != "null"]


def first_pass(block: Any, shape: Sequence[int]) -> Shapes:
    """Run one example of zeros through a network, so that it knows its shapes.

    Args:
        block: The network, initialized on the CPU.
        shape: Shape of one example.
    """
    inputs: dict[int, set[tuple[int, ...]]] = {}

    def look(inner: Any, taken: tuple[Any, ...]) -> None:
        # Gluon infers shapes that it does not know by a pass of symbols, which have none
        if isinstance(taken[0], mx.nd.NDArray):
            inputs.setdefault(id(inner), set()).add(taken[0].shape)

    hooks = [inner.register_forward_pre_hook(look) for inner in walk(block)]
    try:
        with mx.autograd.pause():
            output = block(mx.nd.zeros((1, *shape)))
    finally:
        for hook in hooks:
            hook.detach()
    return Shapes(output.shape, inputs)


@contextmanager
def _owners_recorded(blocks: Mapping[str, Any]) -> Iterator[None]:
    """Let every operator that is traced inside carry the number of its block, since names of operators repeat."""
    hooks = []
    for number, block in enumerate(blocks.values()):
        scopes: list[Any] = []

        def enter(*_: Any, number: int = number, scopes: list[Any] = scopes) -> None:
            scopes.append(mx.AttrScope(**{_OWNER: str(number)}))
            scopes[-1].__enter__()

        def leave(*_: Any, scopes: list[Any] = scopes) -> None:
            scopes.pop().__exit__(None, None, None)

        hooks += [block.register_forward_pre_hook(enter), block.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.detach()


def _flat(outputs: Any) -> Iterator[Any]:
    if isinstance(outputs, (list, tuple)):
        for output in outputs:
            yield from _flat(output)
    else:
        yield outputs
