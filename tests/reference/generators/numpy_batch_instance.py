"""Batch-instance normalization (Nam and Kim, NeurIPS 2018, arXiv:1805.07925)."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Header
from reference.generators.numpy_case import batch_norm, moments, per_channel, positions, run, scale_shift, store

EPSILON, KEEP = 1e-3, 0.7


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """gamma (rho x_batch + (1 - rho) x_instance) + beta."""
    by_batch, new = batch_norm(x, s, training=training, epsilon=EPSILON, keep=KEEP)
    mean, variance = moments(x, positions(x))
    by_instance = (x - mean) / np.sqrt(variance + EPSILON)
    rho = per_channel(p["rho"], x)
    return scale_shift(rho * by_batch + (1 - rho) * by_instance, p), new


if __name__ == "__main__":
    call = f"gamma (rho x_batch + (1 - rho) x_instance) + beta, epsilon {EPSILON}, {KEEP} of the averages kept"
    parameters = {"gamma": (6,), "beta": (6,), "rho": [0.0, 1.0, 0.5, 0.25, 0.75, 0.125]}
    start = {"running_mean": np.zeros(6), "running_var": np.ones(6)}
    store(
        "batch_instance",
        [run(Header(layout.lower(), layout, call), forward, parameters, start) for layout in ("NCHW", "NTC")],
    )
