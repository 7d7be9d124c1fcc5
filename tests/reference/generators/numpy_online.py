"""Online normalization (Chiley et al., NeurIPS 2019, arXiv:1905.05894) with layer scaling.

Examples come one after the other: each is normalized by the statistics of those before it. Backwards, two accumulated
errors keep the gradient orthogonal to the ones and to the output, on average.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import per_channel, positions, run, scale_shift, store

EPSILON, KEEP, KEEP_BACKWARD = 1e-3, 0.9, 0.8


def statistics(x: Any, s: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Mean and deviation with which each example is normalized, `(N, C, 1 ...)`, and the new states."""
    flat = x.reshape(*x.shape[:2], -1)
    means, variances = flat.mean(2), flat.var(2)
    mean, variance = s["running_mean"], s["running_var"]
    used_means, used_deviations = [], []
    for of_example, spread in zip(means, variances):
        used_means.append(mean)
        used_deviations.append(np.sqrt(variance + EPSILON))
        variance = KEEP * variance + (1 - KEEP) * spread + KEEP * (1 - KEEP) * (of_example - mean) ** 2
        mean = KEEP * mean + (1 - KEEP) * of_example
    shape = (*x.shape[:2], *[1] * (x.ndim - 2))
    new = {"running_mean": mean, "running_var": variance}
    return np.reshape(used_means, shape), np.reshape(used_deviations, shape), new


def layer_scaled(y: Any) -> Any:
    """Divide each example by its root mean square."""
    return y / np.sqrt((y**2).mean(tuple(range(1, y.ndim)), keepdims=True) + EPSILON)


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """Layer scaling of gamma (x - mean) / sqrt(variance + epsilon) + beta."""
    if not training:
        mean, variance = per_channel(s["running_mean"], x), per_channel(s["running_var"], x)
        return layer_scaled(scale_shift((x - mean) / np.sqrt(variance + EPSILON), p)), {}
    mean, deviation, new = statistics(x, s)
    return layer_scaled(scale_shift((x - mean) / deviation, p)), new


def backward(head: Any, x: Any, p: Any, s: Any) -> Any:
    """The control process, example by example, after the derivatives of layer scaling, scale and shift."""
    mean, deviation, _ = statistics(x, s)
    y = (x - mean) / deviation
    z = scale_shift(y, p)
    axes = tuple(range(1, x.ndim))
    scaled, root = layer_scaled(z), np.sqrt((z**2).mean(axes, keepdims=True) + EPSILON)
    z_gradient = (head - scaled * (head * scaled).mean(axes, keepdims=True)) / root
    batch = (0, *positions(x))
    gradients = {"gamma": (z_gradient * y).sum(batch), "beta": z_gradient.sum(batch)}
    error_y, error_one = s["error_y"], s["error_one"]
    x_gradient = np.empty_like(x)
    inner = tuple(range(1, x.ndim - 1))
    for index, g in enumerate(z_gradient * per_channel(p["gamma"], x)):
        as_maps = (-1, *[1] * len(inner))
        g = g - (1 - KEEP_BACKWARD) * error_y.reshape(as_maps) * y[index]  # noqa: PLW2901 - as the paper writes it
        error_y = error_y + (g * y[index]).mean(inner)
        x_gradient[index] = g / deviation[index] - (1 - KEEP_BACKWARD) * error_one.reshape(as_maps)
        error_one = error_one + x_gradient[index].mean(inner)
    return x_gradient, gradients, {"error_y": error_y, "error_one": error_one}


def case(name: str, layout: str) -> Case:
    """A case with a state for each of the four."""
    call = (
        f"example by example, then scale and shift, then layer scaling; {KEEP} kept forwards, {KEEP_BACKWARD} back, "
        f"epsilon {EPSILON} in both"
    )
    zeros = np.zeros(6)
    start = {"running_mean": zeros, "running_var": np.ones(6), "error_y": zeros, "error_one": zeros}
    return run(Header(name, layout, call), forward, {"gamma": (6,), "beta": (6,)}, start, backward=backward)


if __name__ == "__main__":
    store("online", [case("nc", "NC"), case("nchw", "NCHW")])
