"""Leave out of a dense layer's product the inputs that are 0, a group of examples at a time.

Images have borders: in MNIST a pixel near the edge is 0 in nearly all of them. Sorted by the rarest pixel that they
use, and cut into tiers, most examples need a part of the pixels only (55 % of the products of MNIST remain). Each tier
is a table of its own, which is multiplied by the weights of its pixels; then the rows are put in their order again.
Sums of the same products, without those that are 0, in another order: values change by rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.training.rewriting import Entry, Node, Rewriting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Examples of a tier, at least; and how many tiers a split has, at most.
LEAST, MOST = 1000, 16
#: Share of the products that may remain: beyond it the sorting costs more than it saves.
WORTH = 0.8
_EVERY = 8  # of so many examples one tells how often inputs are used
_AT_ONCE = 1000  # examples looked at at a time, so that they stay in the cache
_LEVELS = 256
_OF_BYTES = {"Cast", "_mul_scalar", "BlockGrad"}  # what makes numbers from 0 to 1 of bytes; it leaves 0 as it is


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


def restoring(them: list[Tier]) -> NDArray[np.int32]:
    """Where each example is among the rows of all tiers, `(N,)`."""
    order = np.concatenate([tier.rows for tier in them])
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def tiered(
    graph: Any, shapes: Mapping[str, tuple[int, ...]], data: str, named: list[tuple[str, str]], places: str
) -> Any:
    """Let a graph take its examples in tiers.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.
        data: The name of the variable that has the examples, as bytes or as they are.
        named: Names of variables for the values of each tier, `(n, k)`, and for its columns.
        places: Name of a variable for `restoring`.

    Returns:
        A symbol with the same outputs; the graph itself where something else than a dense layer uses the examples.
    """
    rewriting = Rewriting(graph, shapes)
    users = _users(rewriting, rewriting.variable(data)[0])
    if not users or not all(_is_dense(user, index) for user, index in users):
        return graph
    for user, _ in users:
        assert user is not None  # noqa: S101 - told by _is_dense
        rewriting.put(user, _in_tiers(rewriting, user, named, places))
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


def _is_dense(user: Node | None, index: int) -> bool:
    return (
        user is not None
        and user["op"] == "FullyConnected"
        and user["attrs"].get("flatten", "True") == "True"
        and index == 0
    )


def _in_tiers(graph: Rewriting, layer: Node, named: list[tuple[str, str]], places: str) -> Entry:
    _, weight, *bias = layer["inputs"]
    by_input = graph.add("transpose", [weight])  # rows are gathered many times faster than columns
    parts = []
    for values, columns in named:
        own = graph.add("transpose", [graph.add("take", [by_input, graph.variable(columns)])])
        parts.append(graph.add(layer["op"], [graph.variable(values), own, *bias], **layer["attrs"]))
    together = graph.add("concat", parts, dim="0", num_args=str(len(parts)))
    return graph.add("take", [together, graph.variable(places)])
