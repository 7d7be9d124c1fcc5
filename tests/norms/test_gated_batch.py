"""Batch norms that look at each map's own mean: where they start, and what gates them."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, close, equal_formula, inputs, per_channel

REPRESENTATIVE = "statistics/representative_batch.py"
ENHANCED = "statistics/ie_batch.py"
ATTENTIVE = "composite/attentive.py"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def batch_norm(x):
    axes = (0, 2, 3)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


@pytest.mark.parametrize(("file", "bias"), [(REPRESENTATIVE, 1), (ENHANCED, -1)], ids=["representative", "ie"])
def test_it_starts_as_a_share_of_batch_norm(file, bias):
    x, _ = inputs("NCHW")
    close(Host(file)(x).y, sigmoid(bias) * batch_norm(x))


@pytest.mark.parametrize("file", [REPRESENTATIVE, ENHANCED], ids=["representative", "ie"])
def test_its_input_is_left_as_it_is(file):
    host = Host(file, values={"center_weight": np.ones(8)} if file == REPRESENTATIVE else {})
    x, _ = inputs("NCHW")
    array = host._array(x, 0)
    host.graphs[True](array)
    assert np.array_equal(array.asnumpy(), x.astype("float32"))


def mixture(x, gamma, beta, attention_weight, attention_gamma, attention_beta, *, by_deviation):
    described = x.mean((2, 3))
    if by_deviation:
        described = described / np.sqrt(x.var((2, 3), ddof=1) + 1e-3)
    scores = described @ attention_weight.T
    scores = (scores - scores.mean(0)) / np.sqrt(scores.var(0) + 1e-5) * attention_gamma + attention_beta
    shares = np.clip((scores + 3) / 6, 0, 1)
    scales, shifts = (shares @ value for value in (gamma, beta))
    return scales[..., None, None] * batch_norm(x) + shifts[..., None, None]


@pytest.mark.parametrize("by_deviation", [True, False])
def test_attention_mixes_scales_and_shifts_for_each_example(by_deviation):
    random = np.random.default_rng(2)
    values = {name: random.normal(size=(3, 8)) for name in ("gamma", "beta", "attention_weight")}
    values.update(attention_gamma=random.uniform(0.5, 2.5, 3), attention_beta=random.normal(size=3))
    host = Host(ATTENTIVE, values=values, kinds=3, by_deviation=by_deviation)
    x, dy = inputs("NCHW", shape=(6, 8, 3, 2))

    def formula(x, **parameters):
        return mixture(x, **parameters, by_deviation=by_deviation)

    equal_formula(host, formula, x, dy, values, training=True)


def test_attention_starts_with_scales_around_one_and_shifts_around_zero():
    np.random.seed(4)
    host = Host(ATTENTIVE, channels=64)
    assert host.value("gamma").shape == host.value("beta").shape == (10, 64)
    for name, mean in (("gamma", 1), ("beta", 0)):
        assert abs(host.value(name).mean() - mean) < 0.02
        assert 0.09 < host.value(name).std() < 0.11
    assert 0.9 < host.value("attention_weight").std() / np.sqrt(2 / 10) < 1.1


def test_attention_starts_from_zeros_where_a_network_asks_for_it():
    host = Host(ATTENTIVE, site={"gamma_initializer": "zeros"})
    assert (host.value("gamma") == 0).all()


def test_prediction_is_by_running_statistics_of_features_and_of_scores():
    host = Host(ATTENTIVE, momentum=0.0, kinds=2, by_deviation=False)
    x, _ = inputs("NCHW")
    host(x)
    scores = x.mean((2, 3)) @ host.value("attention_weight").T
    close(host.value("attention_running_mean"), scores.mean(0))
    close(host.value("attention_running_var"), scores.var(0, ddof=1))
    close(host.value("running_mean"), x.mean((0, 2, 3)))
    shares = np.clip(((scores - scores.mean(0)) / np.sqrt(scores.var(0, ddof=1) + 1e-5) + 3) / 6, 0, 1)
    y = (x - per_channel(x.mean((0, 2, 3)), x)) / np.sqrt(per_channel(x.var((0, 2, 3), ddof=1), x) + 1e-5)
    scales, shifts = ((shares @ host.value(name))[..., None, None] for name in ("gamma", "beta"))
    close(host(x, training=False).y, scales * y + shifts)
