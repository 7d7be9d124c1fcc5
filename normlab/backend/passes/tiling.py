"""Cut examples into tiers by the inputs that are 0.

Images have borders: in MNIST a pixel near the edge is 0 in nearly all of them. Sorted by the rarest pixel that they
use, and cut into tiers, most examples need a part of the pixels only: 57 % of the products of a dense layer remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from normlab.backend.passes.rewriting import Entry, Node, Rewriting

#: Examples of a tier, at least; and how many tiers a split has, at most.
LEAST, MOST = 1000, 16
#: Share of the products that may remain: beyond it the sorting costs more than it saves.
WORTH = 0.8
_EVERY = 8  # of so many examples one tells how often inputs are used
_AT_ONCE = 1000  # examples looked at at a time, so that they stay in the cache
_LEVELS = 256


class Tier(NamedTuple):
    """Some examples of a split.

    Attributes:
        rows: Which examples, `(n,)`.
        columns: The inputs that are not 0 in all of them, `(k,)`, in order.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def number(sizes: Iterable[int]) -> int:
    """How many tiers each of several splits is cut into, which all go through one graph; 0 if one is too small.

    Args:
        sizes: The number of examples of each split.
    """
    return min(MOST, *[size // LEAST for size in sizes])


def tiers(table: NDArray[Any], count: int) -> list[Tier] | None:
    """Cut examples into tiers by the inputs that they use.

    Args:
        table: `(N, features)`.
        count: How many tiers, at most N.

    Returns:
        The tiers, or None where too few inputs are 0.
    """
    level = _levels(np.count_nonzero(table[::_EVERY], axis=0))
    starts = range(0, len(table), _AT_ONCE)
    # the rarest input of each example decides
    needed = np.concatenate([((table[at : at + _AT_ONCE] != 0) * level).max(axis=1) for at in starts])
    order = np.argsort(needed, kind="stable").astype(np.int32)
    cut = [(rows, np.flatnonzero(level <= needed[rows[-1]])) for rows in np.array_split(order, count)]
    if sum(len(rows) * len(columns) for rows, columns in cut) > WORTH * table.size:
        return None
    return [Tier(rows, columns.astype(np.int32)) for rows, columns in cut]


def places(them: list[Tier]) -> NDArray[np.int32]:
    """In which row of all tiers, one after the other, each example is, `(N,)`."""
    order = np.concatenate([tier.rows for tier in them])
    found = np.empty_like(order)
    found[order] = np.arange(len(order), dtype=np.int32)
    return found


def _levels(used: NDArray[np.int64]) -> NDArray[np.uint8]:
    """How rare each input is: 0 for the most used, 255 for the least used ones."""
    rank = np.empty(len(used), int)
    rank[np.argsort(-used, kind="stable")] = np.arange(len(used))
    return (rank * _LEVELS // len(used)).astype(np.uint8)


_OF_BYTES = {"Cast", "_mul_scalar", "BlockGrad"}  # what makes numbers from 0 to 1 of bytes; it leaves 0 as it is
#: Operators that treat the rows of tables alike, with the axes for which they do.
_ALIKE: dict[str, tuple[Optional[str], ...]] = {
    **dict.fromkeys(("Activation", "LeakyReLU", "relu", "square", "abs", "BlockGrad", "ones_like", "_equal"), (None,)),
    **dict.fromkeys(("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div"), (None,)),
    **dict.fromkeys(("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div"), (None,)),
    **dict.fromkeys(("_mul_scalar", "_div_scalar", "_plus_scalar", "_minus_scalar", "negative"), (None,)),
    **dict.fromkeys(("sqrt", "rsqrt", "exp", "log", "erf", "tanh", "sigmoid", "clip"), (None,)),
    **dict.fromkeys(("_rdiv_scalar", "_rminus_scalar", "_power_scalar", "_maximum_scalar", "_minimum_scalar"), (None,)),
    **dict.fromkeys(("slice_axis", "argmax", "pick", "log_softmax", "sum"), ("1", "-1")),
    "FullyConnected": (None,),
}


class TierNames(NamedTuple):
    """Names of variables to come for a tier.

    Attributes:
        values: For its values, `(n, k)`.
        columns: For `Tier.columns`.
        rows: For `Tier.rows`.
    """

    values: str
    columns: str
    rows: str


class Names(NamedTuple):
    """Names of a graph's variables.

    Attributes:
        data: That which has the examples, as bytes or as they are.
        labels: That which has their labels.
        tiers: Those to come.
        places: That to come for `tiers.places`.
    """

    data: str
    labels: str
    tiers: Sequence[TierNames]
    places: str


def tiered(graph: Any, shapes: Mapping[str, tuple[int, ...]], names: Names) -> Any:
    """Let a graph take its examples in tiers.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.
        names: What variables are called.

    Returns:
        A symbol with the same outputs; the graph itself where something else than a dense layer uses the examples.
    """
    tiering = _Tiering(graph, shapes, names)
    users = _users(tiering, tiering.variable(names.data)[0])
    layers = [user for user, index in users if user is not None and _is_dense(user, index)]
    if not users or len(layers) < len(users):
        return graph
    follow = tiering.following(layers)
    if follow is None:
        tiering.put_in_order(layers)
    else:
        tiering.go_by_tier(layers, follow)
    return tiering.symbol()


def _users(graph: Rewriting, x: Node) -> list[tuple[Node | None, int]]:
    """What uses a variable, or what bytes in it are made to."""
    users = graph.users(x)
    user = users[0][0] if len(users) == 1 else None
    return users if user is None or user["op"] not in _OF_BYTES else _users(graph, user)


def _is_dense(user: Node, index: int) -> bool:
    return user["op"] == "FullyConnected" and user["attrs"].get("flatten", "True") == "True" and index == 0


class _Tiering(Rewriting):
    """A graph that is to take its examples in tiers."""

    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]], names: Names) -> None:
        super().__init__(graph, shapes)
        self._names = names
        self._labels = self.variable(names.labels)
        self._examples = shapes[names.data][0]

    def following(self, layers: Sequence[Node]) -> list[Node] | None:
        """What follows these layers and has a row for each example, or sums over all; None if it can't go by tier."""
        of_rows = {id(self._labels[0]), *map(id, layers)}
        found = []
        for node in self.nodes:
            if id(node) in of_rows:
                continue
            having = [id(source) in of_rows for source, _, _ in node["inputs"]]
            if not any(having):
                continue
            if not self._goes_by_tier(node, having):
                return None
            found.append(node)
            if self._has_rows(node):
                of_rows.add(id(node))
        outputs = [node for node in (*layers, *found) if any(user is None for user, _ in self.users(node))]
        return None if any(map(self._has_rows, outputs)) else found

    def put_in_order(self, layers: Sequence[Node]) -> None:
        """Let all tiers come together after the layers."""
        places = self.variable(self._names.places)
        for layer in layers:
            parts = self._in_tiers(layer)
            together = self.add("concat", parts, dim="0", num_args=str(len(parts)))
            self.put(layer, self.add("take", [together, places]))

    def go_by_tier(self, layers: Sequence[Node], follow: Sequence[Node]) -> None:
        """Let all that follows the layers go on with each tier, but add up sums."""
        tiers = self._names.tiers
        parts = {id(layer): self._in_tiers(layer) for layer in layers}
        parts[id(self._labels[0])] = [self.add("take", [self._labels, self.variable(tier.rows)]) for tier in tiers]
        for node in follow:
            of_tiers = zip(*[parts.get(id(used[0]), [used] * len(tiers)) for used in node["inputs"]])
            own = [self.add(node["op"], list(inputs), **node.get("attrs", {})) for inputs in of_tiers]
            if self._has_rows(node):
                parts[id(node)] = own
            else:
                self.put(node, self.add("add_n", own, num_args=str(len(own))))

    def _has_rows(self, node: Node) -> bool:
        return (self.shape(node) or ())[:1] == (self._examples,)

    def _goes_by_tier(self, node: Node, having: list[bool]) -> bool:
        options = node.get("attrs", {})
        shape, axis = self.shape(node), options.get("axis")
        strangers = [
            source for (source, _, _), has in zip(node["inputs"], having) if not has and self._has_rows(source)
        ]
        if shape is None or strangers or any(output != 0 for _, output, _ in node["inputs"]):
            return False
        turned = [options.get(name, "False") for name in ("transpose_a", "transpose_b")]
        if self._has_rows(node):
            if node["op"] == "dot":
                return having == [True, False] and turned == ["False", "False"]
            if node["op"] == "_linalg_gemm":
                return having == [True, False, True] and turned == ["False", "False"]
            only_data = node["op"] != "FullyConnected" or not any(having[1:])
            return axis in _ALIKE.get(node["op"], ()) and only_data
        if node["op"] == "dot":  # of tables turned to each other, or of vectors
            return all(having) and turned[1] == "False" and (turned[0] == "True" or shape == (1,))
        return node["op"] == "sum" and axis is None and options.get("keepdims", "False") == "False"

    def _in_tiers(self, layer: Node) -> list[Entry]:
        """A dense layer's outputs for each tier."""
        _, weight, *bias = layer["inputs"]
        by_input = self.add("transpose", [weight])  # rows are gathered many times faster than columns
        parts = []
        for values, columns, _ in self._names.tiers:
            own = self.add("transpose", [self.add("take", [by_input, self.variable(columns)])])
            parts.append(self.add(layer["op"], [self.variable(values), own, *bias], **layer["attrs"]))
        return parts
