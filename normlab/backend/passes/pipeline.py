"""Make graphs of predictions faster by what nobody differentiates: the same values, but for rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normlab.backend.passes.folding import folded, fused
from normlab.backend.passes.matmul import by_products
from normlab.backend.passes.tanh import by_logistic
from normlab.backend.passes.tiling import Names, TierNames, tiered


def faster(graph: Any, shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[str], *, on_processor: bool) -> Any:
    """Rewrite a graph of predictions.

    Args:
        graph: A symbol.
        shapes: The shapes of its variables.
        inputs: Names of the variables for the fields of `Examples`: inputs, labels, and each of the tiers.
        on_processor: Whether it is for a processor, for which some operators are replaced by quicker ones.

    Returns:
        A symbol with the same outputs.
    """
    data, labels, *tiers = inputs
    for rewritten in (folded, by_logistic):
        graph = rewritten(graph, shapes)
    if on_processor:
        graph = fused(by_products(graph, shapes))
    if not tiers:
        return graph
    *several, places = tiers
    count = len(several) // len(TierNames._fields)
    named = [TierNames(*several[index::count]) for index in range(count)]
    return tiered(graph, shapes, Names(data, labels, named, places))
