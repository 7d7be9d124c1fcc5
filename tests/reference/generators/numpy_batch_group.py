"""Batch group normalization (Zhou et al., arXiv:2012.02782): groups of the flat features, over the batch.

A group may hold parts of a map. The running variance is unbiased, as in batch normalization.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import batch_norm, run, scale_shift, store

EPSILON, KEEP = 1e-3, 0.7


def case(name: str, layout: str, groups: int) -> Case:
    """Batch normalization in which groups of features stand for channels; gamma and beta are one a channel."""

    def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
        y, new = batch_norm(x.reshape(len(x), groups, -1), s, training=training, epsilon=EPSILON, keep=KEEP)
        return scale_shift(y.reshape(x.shape), p), new

    call = f"batch norm of {groups} groups of the flat features, epsilon {EPSILON}, {KEEP} of the averages kept"
    start = {"running_mean": np.zeros(groups), "running_var": np.ones(groups)}
    return run(Header(name, layout, call), forward, {"gamma": (6,), "beta": (6,)}, start)


if __name__ == "__main__":
    store("batch_group", [case("nchw", "NCHW", 3), case("across_maps", "NCHW", 4), case("nc", "NC", 2)])
