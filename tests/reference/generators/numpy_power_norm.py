"""Power normalization (Shen et al., ICML 2020, arXiv:2003.07845) with the authors' code's warm-up.

First each example's channels are divided by their root mean square at each position. Up to the end of the warm-up the
mean square of the batch scales, and its running average starts as a plain mean; then the running one does. The backward
pass is the paper's own, with a running term for what a batch's statistics would have added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Header
from reference.generators.numpy_case import SHAPES, per_channel, positions, run, scale_shift, store

EPSILON, KEEP, KEEP_BACKWARD, WARM_UP = 1e-3, 0.7, 0.8, 2


def scaled(x: Any) -> Any:
    """Divide by the root mean square of the channels."""
    return x / np.sqrt((x**2).mean(1, keepdims=True) + EPSILON)


def square(h: Any) -> Any:
    """The mean square of each channel over the batch: `(C,)`."""
    return (h**2).mean((0, *positions(h)))


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """Divide by the root of the mean square, of the batch or running; scale and shift."""
    h, step = scaled(x), float(s["steps"][0]) + 1
    of_batch = training and step <= WARM_UP
    z = h / np.sqrt(per_channel(square(h) if of_batch else s["running_square"], h) + EPSILON)
    running, now = s["running_square"], np.real(square(h))
    if step < WARM_UP:
        running = running * (step - 1) / step + now / step
    new = {"running_square": KEEP * running + (1 - KEEP) * now, "steps": s["steps"] + 1}
    return scale_shift(z, p), new


def backward(head: Any, x: Any, p: Any, s: Any) -> Any:
    """The running term takes off what it has gathered along z; then the scale of the batch, whatever scaled forward."""
    h, step, axes = scaled(x), float(s["steps"][0]) + 1, (0, *positions(x))
    z = h / np.sqrt(per_channel(square(h) if step <= WARM_UP else s["running_square"], h) + EPSILON)
    approximate = head * per_channel(p["gamma"], x) - (1 - KEEP_BACKWARD) * per_channel(s["running_gradient"], x) * z
    h_gradient = approximate / np.sqrt(per_channel(square(h), h) + EPSILON)
    root = np.sqrt((x**2).mean(1, keepdims=True) + EPSILON)
    x_gradient = (h_gradient - h * (h_gradient * h).mean(1, keepdims=True)) / root
    gradients = {"gamma": (head * z).sum(axes), "beta": head.sum(axes)}
    return x_gradient, gradients, {"running_gradient": s["running_gradient"] + (approximate * z).mean(axes)}


if __name__ == "__main__":
    call = (
        f"after division by the root mean square of channels; {KEEP} of the average kept, {KEEP_BACKWARD} "
        f"backwards, warm-up of {WARM_UP} steps, epsilon {EPSILON}"
    )
    start = {"running_square": np.ones(6), "running_gradient": np.zeros(6), "steps": np.zeros(1)}
    store(
        "power_norm",
        [
            run(
                Header(layout.lower(), layout, call),
                forward,
                {"gamma": (6,), "beta": (6,)},
                start,
                passes=inputs.batches(layout, *SHAPES[layout], (6, 5, 6, 5, 4)),
                backward=backward,
            )
            for layout in ("NC", "NTC")
        ],
    )
