"""Proxy normalization (Labatie et al., NeurIPS 2021, arXiv:2106.03743) after layer or group norm.

The moments of the activation of a proxy, a Gaussian for each channel, are those of its evenly spaced quantiles.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import larger, moments, per_channel, run, scale_shift, store

EPSILON, OF_PROXY, SAMPLES = 1e-3, 0.03, 32


def case(name: str, layout: str, groups: int) -> Case:
    """(relu(gamma y + beta) - mean) / sqrt(variance + 0.03) with the moments of relu(gamma Y + beta)."""
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / SAMPLES) for i in range(SAMPLES)])

    def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
        parts = x.reshape(len(x), groups, -1)
        mean, variance = moments(parts, (2,))
        y = ((parts - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape)
        z = larger(scale_shift(y, p), 0.0)
        proxy = p["proxy_beta"][:, None] + (1 + p["proxy_gamma"][:, None]) * quantiles
        of_proxy = larger(p["gamma"][:, None] * proxy + p["beta"][:, None], 0.0)
        mean, variance = (per_channel(each, x) for each in moments(of_proxy, (1,)))
        return (z - mean) / np.sqrt(variance + OF_PROXY), {}

    call = (
        f"(relu(gamma y + beta) - mean) / sqrt(variance + {OF_PROXY}), y = GN(x), {groups} groups, epsilon {EPSILON}; "
        f"mean and variance of relu(gamma Y + beta) at {SAMPLES} quantiles of Y ~ N(proxy_beta, (1 + proxy_gamma)^2)"
    )
    parameters = {
        "gamma": (6,),
        "beta": (6,),
        "proxy_gamma": [0.25, -0.25, 0.125, 0.0, 0.5, -0.5],
        "proxy_beta": [0.5, -0.25, 0.0, 0.125, -0.5, 0.25],
    }
    return run(Header(name, layout, call), forward, parameters)


if __name__ == "__main__":
    store("proxy", [case("layer", "NCHW", 1), case("group", "NCHW", 3), case("nc", "NC", 1)])
