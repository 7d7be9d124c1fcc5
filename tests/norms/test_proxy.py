"""Proxy normalization: activations, what it does to each channel, and numbers that do not suit."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, norm, per_channel

from normlab.errors import SpecError

PROXY = "statistics/proxy.py"
QUANTILES = np.array([NormalDist().inv_cdf((2 * i + 1) / 400) for i in range(200)])
FUNCTIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
}


def formula(activation):
    function = FUNCTIONS[activation]

    def proxy(x, gamma, beta, proxy_gamma, proxy_beta):
        rows = x.reshape(len(x), -1)
        y = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
        z = function(per_channel(gamma, x) * y.reshape(x.shape) + per_channel(beta, x))
        drawn = (1 + proxy_gamma[:, None]) * QUANTILES + proxy_beta[:, None]
        of_proxy = function(gamma[:, None] * drawn + beta[:, None])
        mean, variance = (per_channel(value, x) for value in (of_proxy.mean(1), of_proxy.var(1)))
        return (z - mean) / np.sqrt(variance + 0.03)

    return proxy


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
def test_output_and_gradients_equal_the_formula(layout, activation):
    random = np.random.default_rng(4)
    values = {**affine_values(), "proxy_gamma": random.uniform(-0.5, 0.5, 8), "proxy_beta": random.normal(0, 0.3, 8)}
    host = Host(PROXY, layout, values, dtype="float64", site={"activation": activation})
    equal_formula(host, formula(activation), *inputs(layout), values, training=True)


def test_activated_channels_have_mean_0_and_variance_1_if_the_proxy_fits():
    x = np.random.default_rng(1).normal(size=(8, 8, 60, 60))
    host = Host(PROXY, values=affine_values(), site={"activation": "relu"}, proxy_epsilon=1e-6, samples=5000)
    y = host(x).y
    close(y.mean((0, 2, 3)), np.zeros(8), 0.05)
    close(y.var((0, 2, 3)), np.ones(8), 0.05)


@pytest.mark.parametrize(("layout", "groups"), [("NCHW", 3), ("NC", 8)])
def test_groups_that_do_not_suit_are_refused(layout, groups):
    with pytest.raises(SpecError, match=f"groups {groups} does not suit the 8 channels"):
        norm(PROXY).block(in_channels=8, layout=layout, groups=groups)
