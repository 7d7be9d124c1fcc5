"""Cut examples into tiles, so that a dense layer skips the inputs that are 0 in a whole tile.

Images have borders: in MNIST a pixel near the edge is 0 in nearly all of them. Sorted by the rarest pixel that they
use and cut into tiles, most examples need only some of the pixels: 57 % of the products of a dense layer remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from normlab.backend.passes.rewriting import Entry, Node, Rewriter

#: The fewest examples of a tile, and the most tiles of a split.
MINIMUM_EXAMPLES, MAXIMUM_TILES = 1000, 16
#: The largest share of products that may remain: above it, sorting costs more than it saves.
WORTHWHILE_SHARE = 0.8
_SAMPLE_STRIDE = 8  # every eighth example is counted to find out how often inputs are used
_BLOCK = 1000  # examples looked at together, few enough to stay in the cache
_LEVELS = 256


class Tile(NamedTuple):
    """Some examples of a split.

    Attributes:
        rows: Indices of the examples, `(n,)`.
        columns: Indices of the inputs that are not 0 in all of them, `(k,)`, ascending.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def count_tiles(sizes: Iterable[int]) -> int:
    """Return into how many tiles to cut each of several splits that share a graph; 0 if one split is too small.

    Args:
        sizes: The number of examples of each split.
    """
    return min(MAXIMUM_TILES, *[size // MINIMUM_EXAMPLES for size in sizes])


def cut(table: NDArray[Any], count: int) -> list[Tile] | None:
    """Cut examples into tiles by the inputs that they use.

    Args:
        table: `(N, features)`.
        count: Number of tiles, at most N.

    Returns:
        The tiles, or None if too few inputs are 0.
    """
    level = _rarity(np.count_nonzero(table[::_SAMPLE_STRIDE], axis=0))
    starts = range(0, len(table), _BLOCK)
    # an example is placed by the rarest input that it uses
    needed = np.concatenate([((table[at : at + _BLOCK] != 0) * level).max(axis=1) for at in starts])
    order = np.argsort(needed, kind="stable").astype(np.int32)
    parts = [(rows, np.flatnonzero(level <= needed[rows[-1]])) for rows in np.array_split(order, count)]
    if sum(len(rows) * len(columns) for rows, columns in parts) > WORTHWHILE_SHARE * table.size:
        return None
    return [Tile(rows, columns.astype(np.int32)) for rows, columns in parts]


def compute_positions(tiles: list[Tile]) -> NDArray[np.int32]:
    """Return the row of each example in the concatenation of all tiles, `(N,)`."""
    order = np.concatenate([tile.rows for tile in tiles])
    found = np.empty_like(order)
    found[order] = np.arange(len(order), dtype=np.int32)
    return found


def _rarity(uses: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return a level for each input: 0 for the most used ones, up to 255 for the least used ones."""
    rank = np.empty(len(uses), int)
    rank[np.argsort(-uses, kind="stable")] = np.arange(len(uses))
    return (rank * _LEVELS // len(uses)).astype(np.uint8)


#: Operators that turn bytes into numbers from 0 to 1; they keep 0.
_BYTE_OPERATORS = {"Cast", "_mul_scalar", "BlockGrad"}
#: Operators that compute each row of a table from that row alone, with the axes for which they do.
_ROWWISE: dict[str, tuple[Optional[str], ...]] = {
    **dict.fromkeys(("Activation", "LeakyReLU", "relu", "square", "abs", "BlockGrad", "ones_like", "_equal"), (None,)),
    **dict.fromkeys(("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div"), (None,)),
    **dict.fromkeys(("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div"), (None,)),
    **dict.fromkeys(("_mul_scalar", "_div_scalar", "_plus_scalar", "_minus_scalar", "negative"), (None,)),
    **dict.fromkeys(("sqrt", "rsqrt", "exp", "log", "erf", "tanh", "sigmoid", "clip"), (None,)),
    **dict.fromkeys(("_rdiv_scalar", "_rminus_scalar", "_power_scalar", "_maximum_scalar", "_minimum_scalar"), (None,)),
    **dict.fromkeys(("slice_axis", "argmax", "pick", "log_softmax", "sum"), ("1", "-1")),
    "FullyConnected": (None,),
}


class TileNames(NamedTuple):
    """Names of the variables of a tile.

    Attributes:
        values: For its inputs, `(n, k)`.
        columns: For `Tile.columns`.
        rows: For `Tile.rows`.
    """

    values: str
    columns: str
    rows: str


class InputNames(NamedTuple):
    """Names of a graph's inputs.

    Attributes:
        data: The variable of the examples, as bytes or as numbers.
        labels: The variable of their labels.
        tiles: Variables to add for the tiles.
        positions: A variable to add for `compute_positions`.
    """

    data: str
    labels: str
    tiles: Sequence[TileNames]
    positions: str


def use_tiles(graph: Any, shapes: Mapping[str, tuple[int, ...]], names: InputNames) -> Any:
    """Make a graph take its examples in tiles.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.
        names: The names of its inputs.

    Returns:
        A symbol with the same outputs up to rounding; the graph itself if anything but a dense layer uses the examples.
    """
    rewriter = _TilingRewriter(graph, shapes, names)
    users = _users_of_data(rewriter, rewriter.variable(names.data)[0])
    layers = [user for user, index in users if user is not None and _is_dense(user, index)]
    if not users or len(layers) < len(users):
        return graph
    followers = rewriter.tileable_followers(layers)
    if followers is None:
        rewriter.restore_order_after(layers)
    else:
        rewriter.tile(layers, followers)
    return rewriter.symbol()


def _users_of_data(rewriter: Rewriter, data: Node) -> list[tuple[Node | None, int]]:
    """Return the users of a variable, or of the numbers that its bytes are turned into."""
    users = rewriter.users(data)
    user = users[0][0] if len(users) == 1 else None
    return users if user is None or user["op"] not in _BYTE_OPERATORS else _users_of_data(rewriter, user)


def _is_dense(user: Node, index: int) -> bool:
    return user["op"] == "FullyConnected" and user["attrs"].get("flatten", "True") == "True" and index == 0


class _TilingRewriter(Rewriter):
    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]], names: InputNames) -> None:
        super().__init__(graph, shapes)
        self._names = names
        self._labels = self.variable(names.labels)
        self._examples = shapes[names.data][0]

    def tileable_followers(self, layers: Sequence[Node]) -> list[Node] | None:
        """Return what depends on these layers, row by row or as sums over all rows; None if something is neither."""
        of_rows = {id(self._labels[0]), *map(id, layers)}
        found = []
        for node in self.nodes:
            if id(node) in of_rows:
                continue
            depends = [id(source) in of_rows for source, _, _ in node["inputs"]]
            if not any(depends):
                continue
            if not self._is_tileable(node, depends):
                return None
            found.append(node)
            if self._has_rows(node):
                of_rows.add(id(node))
        outputs = [node for node in (*layers, *found) if any(user is None for user, _ in self.users(node))]
        return None if any(map(self._has_rows, outputs)) else found

    def restore_order_after(self, layers: Sequence[Node]) -> None:
        """Compute the layers in tiles and put all examples back in order after them."""
        order = self.variable(self._names.positions)
        for layer in layers:
            parts = self._tile_layer(layer)
            together = self.add("concat", parts, dim="0", num_args=str(len(parts)))
            self.replace(layer, self.add("take", [together, order]))

    def tile(self, layers: Sequence[Node], followers: Sequence[Node]) -> None:
        """Compute the layers and all that follows them tile by tile, and add up the sums of the tiles."""
        tiles = self._names.tiles
        parts = {id(layer): self._tile_layer(layer) for layer in layers}
        parts[id(self._labels[0])] = [self.add("take", [self._labels, self.variable(tile.rows)]) for tile in tiles]
        for node in followers:
            by_tile = zip(*[parts.get(id(used[0]), [used] * len(tiles)) for used in node["inputs"]])
            own = [self.add(node["op"], list(inputs), **node.get("attrs", {})) for inputs in by_tile]
            if self._has_rows(node):
                parts[id(node)] = own
            else:
                self.replace(node, self.add("add_n", own, num_args=str(len(own))))

    def _has_rows(self, node: Node) -> bool:
        return (self.shape(node) or ())[:1] == (self._examples,)

    def _is_tileable(self, node: Node, depends: list[bool]) -> bool:
        """Return whether a node computes each row from the same rows of its inputs, or sums over rows.

        Args:
            node: The node.
            depends: For each input, whether it depends on the layers that are tiled.
        """
        options = node.get("attrs", {})
        shape, axis = self.shape(node), options.get("axis")
        whole = [source for (source, _, _), own in zip(node["inputs"], depends) if not own and self._has_rows(source)]
        if shape is None or whole or any(output != 0 for _, output, _ in node["inputs"]):
            return False
        transposed = [options.get(name, "False") for name in ("transpose_a", "transpose_b")]
        if self._has_rows(node):
            if node["op"] == "dot":
                return depends == [True, False] and transposed == ["False", "False"]
            if node["op"] == "_linalg_gemm":
                return depends == [True, False, True] and transposed == ["False", "False"]
            only_data = node["op"] != "FullyConnected" or not any(depends[1:])
            return axis in _ROWWISE.get(node["op"], ()) and only_data
        if node["op"] == "dot":  # of a transposed table and a table, or of two vectors
            return all(depends) and transposed[1] == "False" and (transposed[0] == "True" or shape == (1,))
        return node["op"] == "sum" and axis is None and options.get("keepdims", "False") == "False"

    def _tile_layer(self, layer: Node) -> list[Entry]:
        """Return a dense layer's outputs for each tile."""
        _, weight, *bias = layer["inputs"]
        by_input = self.add("transpose", [weight])  # rows are gathered many times faster than columns
        parts = []
        for values, columns, _ in self._names.tiles:
            own = self.add("transpose", [self.add("take", [by_input, self.variable(columns)])])
            parts.append(self.add(layer["op"], [self.variable(values), own, *bias], **layer["attrs"]))
        return parts
