"""Iterative normalization (Huang et al., CVPR 2019, arXiv:1904.03441), algorithm 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.generators.numpy_case import store
from reference.generators.whitening import SIZE, case


def newton(iterations: int) -> Any:
    """The inverse square root of a matrix by Newton's iteration, of which the trace is taken off first."""

    def whitening(covariance: Any) -> Any:
        trace = np.trace(covariance)
        normalized, p = covariance / trace, np.eye(SIZE)
        for _ in range(iterations):
            p = (3 * p - p @ p @ p @ normalized) / 2
        return p / np.sqrt(trace)

    return whitening


if __name__ == "__main__":
    call = "algorithm 1 with {} iterations"
    store(
        "iter_norm",
        [
            case("nc", "NC", call.format(5), newton(5)),
            case("nchw", "NCHW", call.format(5), newton(5)),
            case("ntc", "NTC", call.format(3), newton(3)),
            case("covariance", "NCHW", call.format(5) + ", average of covariances", newton(5), keeps="covariance"),
        ],
    )
