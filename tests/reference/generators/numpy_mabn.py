"""Moving average batch normalization (Yan et al., ICLR 2020, arXiv:2001.06838) as in the authors' code.

No mean is taken off: weights are centred instead. After the warm-up the mean square is that of the last batches, and so
is the statistic of the backward pass. After 1000 steps the output is corrected towards the running mean square, within
bounds. Neither the mean of batches before nor the correction is differentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import SHAPES, per_channel, positions, run, scale_shift, store

EPSILON, KEEP, BUFFER, WARM_UP, CORRECTED_FROM, BOUND = 1e-3, 0.7, 2, 4, 1000, 5


def parts(x: Any, s: Any) -> tuple[int, bool, Any, Any]:
    """The step's number, whether it is warm-up, the buffer of mean squares with this batch's in it, and the scale."""
    step = int(s["steps"][0]) + 1
    buffer = s["buffer_square"].copy()
    buffer[step % BUFFER] = (x**2).mean((0, *positions(x)))
    warm = step <= BUFFER or step < WARM_UP
    return step, warm, buffer, buffer[step % BUFFER] if warm else buffer.mean(0)


def correction(step: int, square: Any, s: Any) -> Any:
    """By how much the batch's scale differs from the running one, within bounds."""
    ratio = np.sqrt(square + EPSILON) / np.sqrt(s["running_square"] + EPSILON)
    return np.ones_like(ratio) if step <= max(CORRECTED_FROM, WARM_UP) else np.clip(ratio, 1 / BOUND, BOUND)


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """gamma r x / sqrt(square + epsilon) + beta; in prediction with the running square and without r."""
    if not training:
        return scale_shift(x / np.sqrt(per_channel(s["running_square"], x) + EPSILON), p), {}
    step, _, buffer, square = parts(x, s)
    y = per_channel(correction(step, square, s) / np.sqrt(square + EPSILON), x) * x
    running = KEEP * s["running_square"] + (1 - KEEP) * square
    return scale_shift(y, p), {"running_square": running, "buffer_square": buffer, "steps": s["steps"] + 1}


def backward(head: Any, x: Any, p: Any, s: Any) -> Any:
    """(g - z mean(g z)) / sqrt(square + epsilon), with the mean of the last batches after the warm-up."""
    axes = (0, *positions(x))
    step, warm, _, square = parts(x, s)
    root, r = per_channel(np.sqrt(square + EPSILON), x), per_channel(correction(step, square, s), x)
    z = x / root
    g = head * per_channel(p["gamma"], x) * r
    buffer = s["buffer_gradient"].copy()
    buffer[step % BUFFER] = (g * z).mean(axes)
    statistic = buffer[step % BUFFER] if warm else buffer.mean(0)
    x_gradient = (g - z * per_channel(statistic, x)) / root
    return x_gradient, {"gamma": (head * r * z).sum(axes), "beta": head.sum(axes)}, {"buffer_gradient": buffer}


def case(name: str, layout: str, steps: int) -> Case:
    """A case that begins after some steps."""
    call = (
        f"the last {BUFFER} batches, warm-up of {WARM_UP} steps, correction after {CORRECTED_FROM} within "
        f"1/{BOUND} and {BOUND}, epsilon {EPSILON}, {KEEP} of the average kept; starts after {steps} steps"
    )
    before = np.linspace(0.05, 2.0, 12).reshape(BUFFER, 6) if steps else np.zeros((BUFFER, 6))
    start = {
        "running_square": np.linspace(0.01, 3.0, 6) if steps else np.ones(6),
        "buffer_square": inputs.exact(before),
        "buffer_gradient": inputs.exact(before[:, ::-1] / 4),
        "steps": np.full(1, float(steps)),
    }
    passes = inputs.batches(name, *SHAPES[layout], (6, 5, 6, 5, 6, 4))
    parameters = {"gamma": (6,), "beta": (6,)}
    return run(Header(name, layout, call), forward, parameters, start, passes=passes, backward=backward)


def centred() -> Case:
    """The weight without the mean of each of its rows."""

    def without_mean(w: Any, _: Any, __: Any, ___: bool) -> Any:
        return w - w.mean((1, 2, 3), keepdims=True), {}

    header = Header("weight", "weight", "w - mean over all axes but the first")
    return run(header, without_mean, passes=inputs.weights("weight", (4, 3, 2, 3)))


if __name__ == "__main__":
    store("mabn", [case("start", "NCHW", 0), case("later", "NCHW", 998), centred()])
