"""Leave out of a dense layer's product the inputs that are 0, a group of examples at a time.

Images have borders: in MNIST a pixel near the edge is 0 in nearly all of them. Sorted by the rarest pixel that they
use, and cut into tiers, most examples need a part of the pixels only (55 % of the products of MNIST remain). Each tier
is a table of its own, which is multiplied by the weights of its pixels; then the rows are put in their order again.
Sums of the same products, without those that are 0, in another order: values change by rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy as np

from normlab.training.rewriting import Entry, Node, Rewriting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Examples of a tier, at least; and how many tiers a split has, at most.
LEAST, MOST = 1000, 16
#: Share of the products that may remain: beyond it the sorting costs more than it saves.
WORTH = 0.8
_EVERY = 8  # of so many examples one tells how often inputs are used
_AT_ONCE = 1000  # examples looked at at a time, so that they stay in the cache
_LEVELS = 256
_OF_BYTES = {"Cast", "_mul_scalar", "BlockGrad"}  # what makes numbers from 0 to 1 of bytes; it leaves 0 as it is
#: Operators that treat the rows of a table alike, or sum over all of them, with the axes for which they do.
_ALIKE: dict[str, tuple[Optional[str], ...]] = {
    **dict.fromkeys(("Activation", "LeakyReLU", "relu", "square", "abs", "BlockGrad", "ones_like", "_equal"), (None,)),
    **dict.fromkeys(("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div"), (None,)),
    **dict.fromkeys(("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div"), (None,)),
    **dict.fromkeys(("_mul_scalar", "_div_scalar", "_plus_scalar", "_minus_scalar", "negative"), (None,)),
    **dict.fromkeys(("slice_axis", "argmax", "pick", "log_softmax"), ("1", "-1")),
    "FullyConnected": (None,),
    "BatchNorm": (None, "1", "-1"),
    "dot": (None,),
    "sum": (None, "1", "-1"),
}


class Names(NamedTuple):
    """Names of a graph's variables.

    Attributes:
        data: That which has the examples, as bytes or as they are.
        labels: That which has their labels.
        tiers: Those to come for the values of each tier, `(n, k)`, and for its columns.
        order: That to come for the first of `orders`.
        places: That to come for the second.
    """

    data: str
    labels: str
    tiers: Sequence[tuple[str, str]]
    order: str
    places: str


class Tier(NamedTuple):
    """Some examples of a split.

    Attributes:
        rows: Which examples, `(n,)`.
        columns: The inputs that are not 0 in all of them, `(k,)`, in order.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


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


def orders(them: list[Tier]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which example each row of all tiers is, and in which row each example is, `(N,)`."""
    order = np.concatenate([tier.rows for tier in them])
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=np.int32)
    return order, places


def tiered(graph: Any, shapes: Mapping[str, tuple[int, ...]], names: Names) -> Any:
    """Let a graph take its examples in tiers.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.
        names: What variables are called.

    Returns:
        A symbol with the same outputs; the graph itself where something else than a dense layer uses the examples.
    """
    rewriting = Rewriting(graph, shapes)
    users = _users(rewriting, rewriting.variable(names.data)[0])
    layers = [user for user, index in users if user is not None and _is_dense(user, index)]
    if not users or len(layers) < len(users):
        return graph
    alike = _treats_rows_alike(rewriting, layers, shapes[names.data][0])
    for layer in layers:
        together = _in_tiers(rewriting, layer, names)
        places = rewriting.variable(names.places)
        rewriting.put(layer, together if alike else rewriting.add("take", [together, places]))
    if alike:
        labels = rewriting.variable(names.labels)
        rewriting.put(labels[0], rewriting.add("take", [labels, rewriting.variable(names.order)]))
    return rewriting.symbol()


def _levels(used: NDArray[np.int64]) -> NDArray[np.uint8]:
    """How rare each input is: 0 for the most used, 255 for the least used ones."""
    rank = np.empty(len(used), int)
    rank[np.argsort(-used, kind="stable")] = np.arange(len(used))
    return (rank * _LEVELS // len(used)).astype(np.uint8)


def _users(graph: Rewriting, x: Node) -> list[tuple[Node | None, int]]:
    """What uses a variable, or what bytes in it are made to."""
    users = graph.users(x)
    user = users[0][0] if len(users) == 1 else None
    return users if user is None or user["op"] not in _OF_BYTES else _users(graph, user)


def _is_dense(user: Node, index: int) -> bool:
    return user["op"] == "FullyConnected" and user["attrs"].get("flatten", "True") == "True" and index == 0


def _treats_rows_alike(graph: Rewriting, layers: Sequence[Node], rows: int) -> bool:
    """Whether all that follows these layers may have the rows of tables in any order."""
    waiting, seen = list(layers), {id(layer) for layer in layers}
    while waiting:
        for user, _ in graph.users(waiting.pop()):
            if user is None:  # an output of the graph
                return False
            if id(user) in seen:
                continue
            shape = graph.shape(user)
            fits, options = _ALIKE.get(user["op"]), user.get("attrs", {})
            if shape is None or fits is None or options.get("axis") not in fits or options.get("transpose_b") == "True":
                return False
            seen.add(id(user))
            if shape[:1] == (rows,):  # else it tells of all rows together
                waiting.append(user)
    return True


def _in_tiers(graph: Rewriting, layer: Node, names: Names) -> Entry:
    _, weight, *bias = layer["inputs"]
    by_input = graph.add("transpose", [weight])  # rows are gathered many times faster than columns
    parts = []
    for values, columns in names.tiers:
        own = graph.add("transpose", [graph.add("take", [by_input, graph.variable(columns)])])
        parts.append(graph.add(layer["op"], [graph.variable(values), own, *bias], **layer["attrs"]))
    return graph.add("concat", parts, dim="0", num_args=str(len(parts)))
