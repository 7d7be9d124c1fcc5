"""Inspect a Gluon network: the input shapes of its blocks, the operators they run, and how these are connected."""

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
    """Shapes in a network.

    Attributes:
        output: The shape of the output for one example.
        inputs: The shapes of all inputs of each block, by the block's `id`.
    """

    output: tuple[int, ...]
    inputs: dict[int, set[tuple[int, ...]]]


class Node(NamedTuple):
    """One operator or one variable in a network's graph.

    Attributes:
        operator: The operator's name in MXNet, or `null` for a variable.
        owner: Structural name of the innermost block that runs it.
        inputs: The numbers of its input nodes; the first is the data.
    """

    operator: str
    owner: str
    inputs: tuple[int, ...]


class Wiring:
    """The graph of a network of plain Gluon blocks.

    Args:
        block: The network, which has one input array.

    Attributes:
        blocks: The network's blocks by structural name.
        nodes: Its operators and variables, each after its inputs.
        consumers: For each node, the numbers of the nodes that use its output.
    """

    def __init__(self, block: Any) -> None:
        self.blocks = named_blocks(block)
        names = list(self.blocks)
        with _record_owners(self.blocks):
            outputs = block(mx.sym.var("data"))
        graph = json.loads(mx.sym.Group(list(_flatten(outputs))).tojson())
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

    def operators_of(self, owner: str) -> list[int]:
        """Return the numbers of the operators that a block runs itself, not through its children."""
        return [i for i, node in enumerate(self.nodes) if node.owner == owner and node.operator != "null"]


def infer_shapes(block: Any, shape: Sequence[int]) -> Shapes:
    """Infer the shapes in a network by running one example of zeros through it.

    Args:
        block: The network, initialized on the CPU.
        shape: Shape of one example.
    """
    inputs: dict[int, set[tuple[int, ...]]] = {}

    def record(inner: Any, arguments: tuple[Any, ...]) -> None:
        # Gluon infers unknown shapes by a pass of symbols, which have no shapes
        if isinstance(arguments[0], mx.nd.NDArray):
            inputs.setdefault(id(inner), set()).add(arguments[0].shape)

    hooks = [inner.register_forward_pre_hook(record) for inner in walk(block)]
    try:
        # outside training mode, operators reorder weights in place, which in ShuffleNet v1 corrupts memory
        with mx.autograd.pause(train_mode=True):
            output = block(mx.nd.zeros((1, *shape)))
    finally:
        for hook in hooks:
            hook.detach()
    return Shapes(output.shape, inputs)


@contextmanager
def _record_owners(blocks: Mapping[str, Any]) -> Iterator[None]:
    """Attach to each operator traced inside the number of its block, since the names of operators are not unique."""
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


def _flatten(outputs: Any) -> Iterator[Any]:
    if isinstance(outputs, (list, tuple)):
        for output in outputs:
            yield from _flatten(output)
    else:
        yield outputs
