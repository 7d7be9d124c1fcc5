"""The passes in their order, applied to graphs that are not differentiated: the same values up to rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normlab.backend.passes.folding import fold_affine, fuse_convolutions
from normlab.backend.passes.matmul import use_matmul
from normlab.backend.passes.tanh import use_sigmoid
from normlab.backend.passes.tiling import InputNames, TileNames, use_tiles


def optimize(graph: Any, shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[str], *, on_cpu: bool) -> Any:
    """Return a faster graph with the same outputs.

    Args:
        graph: A symbol of an evaluation.
        shapes: The shapes of its variables.
        inputs: Names of the variables for the examples, their labels and, if any, the arrays of the tiles: the values
            of each tile, then the columns of each, then the rows of each, then the positions of all examples.
        on_cpu: Whether it runs on a CPU, for which some operators are replaced by faster ones.
    """
    data, labels, *tiles = inputs
    graph = use_sigmoid(fold_affine(graph, shapes), shapes)
    if on_cpu:
        graph = fuse_convolutions(use_matmul(graph, shapes))
    if not tiles:
        return graph
    *arrays, positions = tiles
    count = len(arrays) // len(TileNames._fields)
    names = [TileNames(*arrays[index::count]) for index in range(count)]
    return use_tiles(graph, shapes, InputNames(data, labels, names, positions))
