"""RMS normalization (arXiv:1910.07467) in the forms that no package has."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import per_channel, run, store


def epsilon_outside() -> Case:
    """The authors' code adds epsilon to the root mean square: gamma x / (RMS + epsilon)."""

    def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
        return per_channel(p["gamma"], x) * x / (np.sqrt((x**2).mean(1, keepdims=True)) + 1e-2), {}

    return run(Header("epsilon_outside", "NC", "gamma x / (sqrt(mean x^2) + 0.01)"), forward, {"gamma": (6,)})


def partial() -> Case:
    """The root mean square of the first half of the channels stands for that of all: pRMSNorm."""

    def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
        square = (x[:, :3] ** 2).mean(1, keepdims=True)
        return per_channel(p["gamma"], x) * x / np.sqrt(square + 1e-3), {}

    header = Header("partial", "NCHW", "gamma x / sqrt(mean of x^2 over the first half of the channels + 0.001)")
    return run(header, forward, {"gamma": (6,)})


def with_shift() -> Case:
    """With the optional bias."""

    def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
        y = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-3)
        return per_channel(p["gamma"], x) * y + per_channel(p["beta"], x), {}

    return run(
        Header("shift", "NTC", "gamma x / sqrt(mean x^2 + 0.001) + beta"), forward, {"gamma": (6,), "beta": (6,)}
    )


def zero_centred() -> Case:
    """With 1 + gamma for gamma."""

    def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
        y = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-3)
        return (1 + per_channel(p["gamma"], x)) * y, {}

    return run(Header("zero_centred", "NC", "(1 + gamma) x / sqrt(mean x^2 + 0.001)"), forward, {"gamma": (6,)})


if __name__ == "__main__":
    store("rms", [epsilon_outside(), partial(), with_shift(), zero_centred()])
