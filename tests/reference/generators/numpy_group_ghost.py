"""Groups of examples and channels (Summers and Dinneen, ICLR 2020, arXiv:1906.03548).

In prediction the moments of the example itself have a share beside the running ones, averaged over each group.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import SHAPES, moved, run, scale_shift, store

EPSILON, KEEP = 1e-3, 0.7


def grouped(values: Any, examples: int, channels: int) -> Any:
    """Averages over groups of examples and channels, one for each example and channel: `(N, C)`.

    The last group of examples may be smaller.
    """
    n, c = values.shape
    means = values.reshape(n, c // channels, channels).mean(2)
    parts = np.split(means, range(examples, n, examples))
    return np.concatenate([np.tile(part.mean(0), (len(part), 1)) for part in parts]).repeat(channels, 1)


def case(
    name: str, layout: str, examples: int, channels: int, share: float, sizes: tuple[int, ...] = (6, 4, 6, 3)
) -> Case:
    """A case with groups of some examples and some channels, and the example's share in prediction."""

    def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
        flat = x.reshape(*x.shape[:2], -1)
        mean, square = flat.mean(2), (flat**2).mean(2)
        new = moved(s, KEEP, running_mean=mean.mean(0), running_square=square.mean(0)) if training else {}
        if training:
            mean, square = grouped(mean, examples, channels), grouped(square, examples, channels)
        else:
            mean = grouped(share * mean + (1 - share) * s["running_mean"], 1, channels)
            square = grouped(share * square + (1 - share) * s["running_square"], 1, channels)
        shape = (*x.shape[:2], *[1] * (x.ndim - 2))
        mean, variance = mean.reshape(shape), (square - mean**2).reshape(shape)
        return scale_shift((x - mean) / np.sqrt(variance + EPSILON), p), new

    call = (
        f"moments of {examples} examples and {channels} channels, epsilon {EPSILON}, {KEEP} of the averages kept, "
        f"share {share} of the example in prediction"
    )
    start = {"running_mean": np.zeros(6), "running_square": np.ones(6)}
    passes = inputs.batches(name, *SHAPES[layout], sizes)
    return run(Header(name, layout, call), forward, {"gamma": (6,), "beta": (6,)}, start, passes=passes)


if __name__ == "__main__":
    store(
        "group_ghost",
        [
            case("nchw", "NCHW", 2, 3, 0.25),
            case("ghost", "NCHW", 2, 1, 0.0),
            case("uneven", "NCHW", 2, 1, 0.0, (5, 4, 7, 3)),
            case("uneven_groups", "NCHW", 4, 2, 0.0, (5, 9, 3, 3)),
            case("nc", "NC", 2, 3, 0.25),
        ],
    )
