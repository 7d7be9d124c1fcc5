"""Replace large sums and row shifts by matrix products.

MXNet's `sum` takes three times as long as a product with ones. Its `broadcast_sub` of a row takes three times as long
as `linalg_gemm`, which adds the product of a column of ones and the row to the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from normlab.backend.passes.rewriting import Node, Rewriter

#: Tables of fewer values are left alone.
MINIMUM_SIZE = 50_000
_VECTOR, _MATRIX = 1, 2
#: Options of a sum that can be replaced.
_SUM_OPTIONS = {"keepdims": (None, "False"), "exclude": (None, "False")}
#: The factor of the row, by operator.
_SHIFTS = {"broadcast_add": "1", "broadcast_sub": "-1"}


def use_matmul(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Replace large sums over the columns of a table, over a vector or over a single column, and large row shifts.

    Args:
        graph: A symbol that is not differentiated afterwards, for float32 on a CPU.
        shapes: The shapes of its variables.

    Returns:
        A symbol with the same outputs up to rounding.
    """
    rewriter = _MatmulRewriter(graph, shapes)
    for node in list(rewriter.nodes):
        rewriter.replace_sum(node)
        rewriter.replace_shift(node)
    return rewriter.symbol()


class _MatmulRewriter(Rewriter):
    def replace_sum(self, node: Node) -> None:
        """Turn a large sum into a product with ones, in place."""
        options = node.get("attrs", {})
        if node["op"] != "sum" or any(options.get(name) not in known for name, known in _SUM_OPTIONS.items()):
            return
        (table,) = node["inputs"]
        shape = self.shape(table[0]) or ()
        if prod(shape) < MINIMUM_SIZE:
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

    def replace_shift(self, node: Node) -> None:
        """Turn the addition of a row to a large table into a product, in place; it is rounded once, as before."""
        if node["op"] not in _SHIFTS:
            return
        table, row = node["inputs"]
        shape = self.shape(table[0]) or ()
        if len(shape) != _MATRIX or prod(shape) < MINIMUM_SIZE or self.shape(row[0]) != (1, shape[1]):
            return
        column = self.add("slice_axis", [table], axis="1", begin="0", end="1")
        ones = self.add("ones_like", [column])
        node.update(op="_linalg_gemm", inputs=[ones, row, table], attrs={"alpha": _SHIFTS[node["op"]]})
