"""Cross-iteration batch normalization (Yao et al., CVPR 2021, arXiv:2002.05712), section 3, after a layer of its own.

x goes into a dense layer or a convolution without bias, whose outputs are normalized; its weight is another one at each
pass, as after a step of an optimizer. Means, means of squares and their derivatives by the weights are kept of the last
steps; a Taylor polynomial brings them to the weight of the pass. What is kept, and the weight in the polynomial, are
constants to the gradient. States are told as the mean and the variance, with their derivatives, the last step first.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import SHAPES, per_channel, run, scale_shift, store

if TYPE_CHECKING:
    from collections.abc import Mapping

EPSILON, KEEP = 1e-3, 0.7

#: How far the weights of each pass are from the first ones.
DISTANCES = (0.0, 0.02, 0.05, 1.0, 1.02, 0.9)


def patches(x: Any, weight: Any) -> Any:
    """What each output is the weights' sum of, `(C, U, values)`, for all examples and positions."""
    channels, units = weight.shape[:2]
    if weight.ndim == 2:  # dense: (N, U) or (N, U, T)
        found = np.moveaxis(x, 1, 0).reshape(units, -1)
        return np.broadcast_to(found, (channels, *found.shape))
    (kh, kw), (n, taken, height, width) = weight.shape[2:], x.shape
    padded = np.zeros((n, taken, height + kh - 1, width + kw - 1), dtype=x.dtype)
    padded[:, :, kh // 2 : kh // 2 + height, kw // 2 : kw // 2 + width] = x
    found = np.empty((channels, units, kh, kw, n * height * width), dtype=x.dtype)
    for c, u, i, j in product(range(channels), range(units), range(kh), range(kw)):
        first = c // (channels * units // taken) * units
        found[c, u, i, j] = padded[:, first + u, i : i + height, j : j + width].reshape(-1)
    return found.reshape(channels, -1, n * height * width)


class Window:
    """The method with its settings.

    Args:
        window: Steps whose statistics are averaged, this one among them.
        burn_in: Steps before that.
        leaves_out: Whether steps with an impossible variance are left out, as in the authors' code.
        outside: Whether epsilon is added to the root, as there.
    """

    def __init__(self, window: int, burn_in: int = 0, *, leaves_out: bool = False, outside: bool = False) -> None:
        self.window, self.burn_in = window, burn_in
        self.leaves_out, self.outside = leaves_out, outside
        self.impossible = 0

    def forward(self, x: Any, p: Mapping[str, Any], s: Mapping[str, Any], training: bool) -> Any:
        """The layer, then the method."""
        weight = p["weight"].reshape(len(p["weight"]), -1)
        seen = patches(x, p["weight"])
        flat = np.einsum("cu,cum->cm", weight, seen)
        outputs = np.moveaxis(flat.reshape(len(flat), len(x), *x.shape[2:]), 0, 1)
        if not training:
            return self.standardized(outputs, s["running_mean"], s["running_var"], p), {}
        mean, square = flat.mean(1), (flat**2).mean(1)
        averaged_mean, averaged_square = self.averaged(mean, square, np.real(weight), s)
        y = self.standardized(outputs, averaged_mean, averaged_square - averaged_mean**2, p)
        return y, self.moved(np.real(flat), np.real(seen), np.real(weight), s)

    def standardized(self, x: Any, mean: Any, var: Any, p: Mapping[str, Any]) -> Any:
        """gamma (x - mean) / root + beta."""
        root = np.sqrt(var) + EPSILON if self.outside else np.sqrt(var + EPSILON)
        return scale_shift((x - per_channel(mean, x)) / per_channel(root, x), p)

    def averaged(self, mean: Any, square: Any, weight: Any, s: Mapping[str, Any]) -> tuple[Any, Any]:
        """The mean over the window of the means, and that of the means of squares."""
        means, squares = [mean], [square]
        there = np.ones((1, len(mean)))
        for index in range(min(self.window - 1, max(0, int(s["steps"][0]) - self.burn_in))):
            moved = weight - s["buffer_weight"][index]
            old, slope = s["buffer_mean"][index], repeated(s["buffer_mean_gradient"][index], len(mean))
            old_square = s["buffer_var"][index] + old**2
            square_slope = s["buffer_var_gradient"][index] + 2 * old[:, None] * slope
            means.append(old + (slope * moved).sum(1))
            brought = old_square + (square_slope * moved).sum(1)
            possible = brought >= means[-1] ** 2
            self.impossible += np.count_nonzero(~possible)
            there = np.vstack([there, possible if self.leaves_out else np.ones(len(mean))])
            squares.append(np.maximum(brought, means[-1] ** 2))
        count = there.sum(0)
        return sum(map(np.multiply, there, means)) / count, sum(map(np.multiply, there, squares)) / count

    def moved(self, flat: Any, seen: Any, weight: Any, s: Mapping[str, Any]) -> dict[str, Any]:
        """The states after this step."""
        mean, m = flat.mean(1), flat.shape[1]
        var = (flat**2).mean(1) - mean**2
        slope = seen.mean(2)
        square_slope = np.einsum("cm,cum->cu", 2 * flat, seen) / m
        groups = s["buffer_mean_gradient"].shape[1]
        new = {
            "buffer_mean": mean,
            "buffer_var": var,
            "buffer_weight": weight,
            "buffer_mean_gradient": slope[:: len(slope) // groups],
            "buffer_var_gradient": square_slope - 2 * mean[:, None] * slope,
        }
        pushed = {name: np.concatenate([value[None], s[name][:-1]]) for name, value in new.items()}
        return {
            **pushed,
            "running_mean": KEEP * s["running_mean"] + (1 - KEEP) * mean,
            "running_var": KEEP * s["running_var"] + (1 - KEEP) * var * m / (m - 1),
            "steps": s["steps"] + 1,
        }


def repeated(of_groups: Any, channels: int) -> Any:
    """What channels of a group share, for each channel."""
    return np.repeat(of_groups, channels // len(of_groups), axis=0)


def states(window: int, channels: int, units: int, groups: int) -> dict[str, Any]:
    """The states before the first step."""
    shapes = {
        "buffer_mean": (channels,),
        "buffer_var": (channels,),
        "buffer_weight": (channels, units),
        "buffer_mean_gradient": (groups, units),
        "buffer_var_gradient": (channels, units),
    }
    return {
        **{name: np.zeros((window - 1, *shape)) for name, shape in shapes.items()},
        "running_mean": np.zeros(channels),
        "running_var": np.ones(channels),
        "steps": np.zeros(1),
    }


def case(name: str, layout: str, shape: tuple[int, ...], method: Window) -> Case:
    """A case with a layer whose weight has this shape."""
    call = (
        f"weight {shape}, window {method.window}, burn-in {method.burn_in}, epsilon {EPSILON} "
        f"{'outside' if method.outside else 'inside'} the root, {KEEP} of the averages kept; impossible variances are "
        f"{'left out' if method.leaves_out else 'raised to 0'}"
    )
    sizes = (6, 5, 6, 7, 6, 4)
    passes = inputs.batches(name, *SHAPES[layout], sizes)
    (start, _), *drawn = inputs.weights(name, shape, len(sizes) + 1)
    walk = [inputs.exact(start + far * step) for far, (step, _) in zip(DISTANCES, drawn)]
    channels, units = len(start), start[0].size
    taken = SHAPES[layout][0][SHAPES[layout][1] - 1]
    found = run(
        Header(name, layout, call),
        method.forward,
        {"gamma": (channels,), "beta": (channels,), "weight": walk[0]},
        states(method.window, channels, units, taken // shape[1]),
        passes=passes,
        changes=[{}, *({"weight": weight} for weight in walk[1:])],
    )
    assert method.impossible, "some variance is to become negative"
    return found


if __name__ == "__main__":
    store(
        "cross_iteration_batch",
        [
            case("nc", "NC", (6, 6), Window(3)),
            case("nchw", "NCHW", (6, 6, 3, 1), Window(2)),
            case("ntc", "NTC", (6, 6), Window(3, burn_in=2)),
            case("grouped", "NCHW", (6, 3, 1, 3), Window(3, leaves_out=True, outside=True)),
        ],
    )
