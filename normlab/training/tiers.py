"""Cut examples into tiers by the inputs that are 0.

Images have borders: in MNIST a pixel near the edge is 0 in nearly all of them. Sorted by the rarest pixel that they
use, and cut into tiers, most examples need a part of the pixels only: 57 % of the products of a dense layer remain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

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
