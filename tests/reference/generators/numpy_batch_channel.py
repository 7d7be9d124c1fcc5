"""Batch-channel normalization (Qiao et al., arXiv:1911.09738): group norm after batch norm.

In the authors' code the second scale and shift are one a group.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Header
from reference.generators.numpy_case import batch_norm, moments, run, scale_shift, store

EPSILON, KEEP, GROUPS = 1e-3, 0.7, 3


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """Group norm of gamma BN(x) + beta."""
    y, new = batch_norm(x, s, training=training, epsilon=EPSILON, keep=KEEP)
    groups = scale_shift(y, p).reshape(len(x), GROUPS, -1)
    mean, variance = moments(groups, (2,))
    inner = {"gamma": p["group_gamma"], "beta": p["group_beta"]}
    return scale_shift((groups - mean) / np.sqrt(variance + EPSILON), inner).reshape(x.shape), new


if __name__ == "__main__":
    call = f"GN(gamma BN(x) + beta) with {GROUPS} groups, epsilon {EPSILON} in both, {KEEP} of the averages kept"
    parameters = {"gamma": (6,), "beta": (6,), "group_gamma": (GROUPS,), "group_beta": (GROUPS,)}
    start = {"running_mean": np.zeros(6), "running_var": np.ones(6)}
    store(
        "batch_channel",
        [run(Header(layout.lower(), layout, call), forward, parameters, start) for layout in ("NC", "NCHW")],
    )
