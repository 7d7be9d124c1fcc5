"""Switchable normalization (Luo et al., ICLR 2019, arXiv:1806.10779).

The order of weights is that of the authors' code: instance, layer, batch; without positions layer and batch. That code
takes the instance variance without bias and derives the others from it; the paper has biased ones throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import moments, moved, per_channel, positions, run, scale_shift, softmax, store

EPSILON, KEEP = 1e-3, 0.7


def of_instances(x: Any, *, unbiased: bool) -> tuple[list[Any], list[Any]]:
    """Means and variances of each example's channels, of examples and of the batch, for maps."""
    m = np.prod(x.shape[2:])
    mean, variance = moments(x, positions(x))
    variance = variance * (m / (m - 1) if unbiased else 1)
    square = variance + mean**2
    means, variances = [mean], [variance]
    for axis in (1, 0):
        means.append(mean.mean(axis, keepdims=True))
        variances.append(square.mean(axis, keepdims=True) - means[-1] ** 2)
    return means, variances


def of_vectors(x: Any, *, unbiased: bool) -> tuple[list[Any], list[Any]]:
    """Means and variances of examples and of the batch, for vectors."""
    means, variances = [], []
    for axis in (1, 0):
        mean, variance = moments(x, (axis,))
        m = x.shape[axis]
        means.append(mean)
        variances.append(variance * (m / (m - 1) if unbiased else 1))
    return means, variances


def case(name: str, layout: str, *, unbiased: bool) -> Case:
    """Statistics mixed by the softmax of weights; in prediction running ones for those of the batch."""

    def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
        statistics = of_vectors if layout == "NC" else of_instances
        means, variances = statistics(x, unbiased=unbiased)
        new = moved(s, KEEP, running_mean=means[-1], running_var=variances[-1]) if training else {}
        if not training:
            means[-1], variances[-1] = per_channel(s["running_mean"], x), per_channel(s["running_var"], x)
        mean = sum(share * each for share, each in zip(softmax(p["mean_weight"]), means))
        variance = sum(share * each for share, each in zip(softmax(p["var_weight"]), variances))
        return scale_shift((x - mean) / np.sqrt(variance + EPSILON), p), new

    kinds = 2 if layout == "NC" else 3
    parameters = {"gamma": (6,), "beta": (6,), "mean_weight": (kinds,), "var_weight": (kinds,)}
    call = f"shares by softmax, {'un' * unbiased}biased variances, epsilon {EPSILON}, {KEEP} of the averages kept"
    return run(
        Header(name, layout, call), forward, parameters, {"running_mean": np.zeros(6), "running_var": np.zeros(6)}
    )


if __name__ == "__main__":
    store(
        "switchable",
        [
            case("nc", "NC", unbiased=True),
            case("nchw", "NCHW", unbiased=True),
            case("ntc", "NTC", unbiased=True),
            case("nc_biased", "NC", unbiased=False),
            case("nchw_biased", "NCHW", unbiased=False),
        ],
    )
