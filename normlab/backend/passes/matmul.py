"""Sum over tall tables, and shift all their rows, by matrix products in prediction graphs.

MXNet's `sum` takes three times as long as a product with ones, its `broadcast_sub` of a row as long as three products
of a column of ones with that row, to which the table is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from normlab.backend.passes.rewriting import Node, Rewriting

#: Values below which the operators stay.
LEAST = 50_000
_VECTOR, _MATRIX = 1, 2
#: What a sum must not ask for.
_PLAIN = {"keepdims": (None, "False"), "exclude": (None, "False")}
#: Factors of the row, by operator.
_SHIFTS = {"broadcast_add": "1", "broadcast_sub": "-1"}


def by_products(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Use products for large sums over the columns of a table, or over a vector or single column, and large shifts.

    Args:
        graph: A symbol that is not differentiated afterwards, for float32 on a processor.
        shapes: The shapes of its variables.

    Returns:
        A symbol with the same outputs, but for rounding.
    """
    products = _Products(graph, shapes)
    for node in list(products.nodes):
        products.sum(node)
        products.shift(node)
    return products.symbol()


class _Products(Rewriting):
    """A graph in which sums and shifts become products."""

    def sum(self, node: Node) -> None:
        """Compute a sum by a product with ones, in place."""
        options = node.get("attrs", {})
        if node["op"] != "sum" or any(options.get(name) not in known for name, known in _PLAIN.items()):
            return
        (table,) = node["inputs"]
        shape = self.shape(table[0]) or ()
        if prod(shape) < LEAST:
            return
        axis = options.get("axis")
        if len(shape) == _MATRIX and axis in ("1", "-1"):
            ones = self.add("_ones", [], shape=str(shape[1:]), dtype="float32")
            node.update(op="dot", inputs=[table, ones], attrs={})
        elif axis is None and len(shape) == _VECTOR:
            node.update(op="dot", inputs=[table, self.add("ones_like", [table])], attrs={})
        elif axis is None and len(shape) == _MATRIX and shape[1] == 1:
            total = self.add("dot", [table, self.add("ones_like", [table])], transpose_a="True")
            node.update(op="Reshape", inputs=[total], attrs={"shape": "(1,)"})

    def shift(self, node: Node) -> None:
        """Add a multiple of a row to all rows of a table by a product with ones, in place; rounded once, as else."""
        if node["op"] not in _SHIFTS:
            return
        table, row = node["inputs"]
        shape = self.shape(table[0]) or ()
        if len(shape) != _MATRIX or prod(shape) < LEAST or self.shape(row[0]) != (1, shape[1]):
            return
        column = self.add("slice_axis", [table], axis="1", begin="0", end="1")
        ones = self.add("ones_like", [column])
        node.update(op="_linalg_gemm", inputs=[ones, row, table], attrs={"alpha": _SHIFTS[node["op"]]})
