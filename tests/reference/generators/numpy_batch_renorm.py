"""Batch renormalization (arXiv:1702.03275): algorithm 1, with a small schedule of its bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Header
from reference.generators.numpy_case import moments, moved, per_channel, positions, run, store

EPSILON, KEEP = 1e-3, 0.7
R_MAX, D_MAX = 3.0, 5.0
#: No renormalization up to the first of these steps, which count from 1; then bounds that grow, to reach their last
#: values at the others.
FROM, R_FROM, D_FROM = 1, 5, 3


def bounds(step: float) -> tuple[float, float]:
    """The bounds r_max and d_max of a step, the first of which has the number 1."""
    share_r = min(max((step - FROM) / (R_FROM - FROM), 0.0), 1.0)
    share_d = min(max((step - FROM) / (D_FROM - FROM), 0.0), 1.0)
    return 1 + (R_MAX - 1) * share_r, D_MAX * share_d


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """Normalize by the batch, and correct towards the running statistics, which average deviations."""
    running_mean, running = per_channel(s["running_mean"], x), per_channel(s["running_deviation"], x)
    gamma, beta = per_channel(p["gamma"], x), per_channel(p["beta"], x)
    if not training:
        return gamma * (x - running_mean) / running + beta, {}
    mean, variance = moments(x, (0, *positions(x)))
    deviation = np.sqrt(variance + EPSILON)
    r_max, d_max = bounds(float(s["steps"][0]) + 1)
    r = np.clip(np.real(deviation) / running, 1 / r_max, r_max)
    d = np.clip((np.real(mean) - running_mean) / running, -d_max, d_max)
    new = moved(s, KEEP, running_mean=mean, running_deviation=deviation)
    return gamma * ((x - mean) / deviation * r + d) + beta, {**new, "steps": s["steps"] + 1}


if __name__ == "__main__":
    call = (
        "algorithm 1, epsilon 0.001, 0.7 of the averages kept; "
        "bounds 1 and 0 up to step 1, then linear to 3 at step 5 and 5 at step 3"
    )
    affine = {"gamma": (6,), "beta": (6,)}
    start = {"running_mean": np.zeros(6), "running_deviation": np.full(6, 0.3), "steps": np.zeros(1)}
    cases = [
        run(
            Header(layout.lower(), layout, call),
            forward,
            affine,
            start,
            passes=inputs.batches(layout, shape, 1, (6, 5, 6, 7, 6, 5, 6, 4)),
        )
        for layout, shape in (("NC", (6,)), ("NCHW", (6, 2)))
    ]
    store("batch_renorm", cases)
