"""Representative batch normalization (Gao et al., CVPR 2021): centring and scaling calibration around batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Header
from reference.generators.numpy_case import batch_norm, per_channel, positions, run, scale_shift, sigmoid, store

EPSILON, KEEP = 1e-3, 0.7


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """Add the weighted mean of each map, standardize, gate by the mean of each map that comes out, scale and shift."""
    x = x + per_channel(p["center_weight"], x) * x.mean(positions(x), keepdims=True)
    y, new = batch_norm(x, s, training=training, epsilon=EPSILON, keep=KEEP)
    mean = y.mean(positions(y), keepdims=True)
    gate = sigmoid(per_channel(p["scale_weight"], y) * mean + per_channel(p["scale_bias"], y))
    return scale_shift(gate * y, p), new


if __name__ == "__main__":
    call = (
        "gamma sigmoid(scale_weight mean(y) + scale_bias) y + beta, y = BN(x + center_weight mean(x)), "
        f"epsilon {EPSILON}, {KEEP} of the averages kept"
    )
    names = ("gamma", "beta", "center_weight", "scale_weight", "scale_bias")
    start = {"running_mean": np.zeros(6), "running_var": np.ones(6)}
    store(
        "representative_batch",
        [
            run(Header(layout.lower(), layout, call), forward, dict.fromkeys(names, (6,)), start)
            for layout in ("NCHW", "NTC")
        ],
    )
