"""Instance enhancement batch normalization (Liang et al., AAAI 2020, arXiv:1908.04008), equations 4 to 6."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Header
from reference.generators.numpy_case import batch_norm, per_channel, positions, run, scale_shift, sigmoid, store

EPSILON, KEEP = 1e-3, 0.7


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """gamma sigmoid(gate_weight mean(x) + gate_bias) BN(x) + beta."""
    y, new = batch_norm(x, s, training=training, epsilon=EPSILON, keep=KEEP)
    mean = x.mean(positions(x), keepdims=True)
    gate = sigmoid(per_channel(p["gate_weight"], x) * mean + per_channel(p["gate_bias"], x))
    return scale_shift(gate * y, p), new


if __name__ == "__main__":
    call = (
        f"gamma sigmoid(gate_weight mean(x) + gate_bias) BN(x) + beta, epsilon {EPSILON}, {KEEP} of the averages kept"
    )
    parameters = dict.fromkeys(("gamma", "beta", "gate_weight", "gate_bias"), (6,))
    start = {"running_mean": np.zeros(6), "running_var": np.ones(6)}
    store(
        "ie_batch",
        [run(Header(layout.lower(), layout, call), forward, parameters, start) for layout in ("NCHW", "NTC")],
    )
