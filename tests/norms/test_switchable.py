"""Switchable norm: each kind of statistics alone, their mixture, and both kinds of variance."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, close, inputs

FILE = "composite/switchable.py"
EPSILON = 1e-5

#: Weights of which the softmax is nearly a single 1.
SURE = 200.0
AXES = {"instance": (2, 3), "layer": (1, 2, 3), "batch": (0, 2, 3)}


def weights(kind, kinds):
    only = [SURE * (kind == each) for each in kinds]
    return {"mean_weight": only, "var_weight": only}


@pytest.mark.parametrize("kind", AXES)
def test_with_all_the_weight_on_one_kind_it_is_that_norm(kind):
    x, _ = inputs("NCHW")
    host = Host(FILE, values=weights(kind, AXES))
    mean, variance = x.mean(AXES[kind], keepdims=True), x.var(AXES[kind], keepdims=True)
    close(host(x).y, (x - mean) / np.sqrt(variance + EPSILON))


@pytest.mark.parametrize(("kind", "axis"), [("layer", 1), ("batch", 0)])
@pytest.mark.parametrize("unbiased", [True, False])
def test_vectors_have_no_instance_statistics(kind, axis, unbiased):
    x, _ = inputs("NC")
    host = Host(FILE, "NC", weights(kind, ("layer", "batch")), unbiased=unbiased)
    variance = x.var(axis, keepdims=True, ddof=int(unbiased))
    close(host(x).y, (x - x.mean(axis, keepdims=True)) / np.sqrt(variance + EPSILON))


def test_weights_start_alike_and_means_and_variances_have_their_own():
    host = Host(FILE)
    assert host.value("mean_weight").tolist() == host.value("var_weight").tolist() == [1, 1, 1]
    x, dy = inputs("NCHW")
    gradients = host(x, dy).gradients
    assert not np.allclose(gradients["mean_weight"], gradients["var_weight"])
    # the softmax moves by differences only
    close(gradients["mean_weight"].sum(), 0.0)


def test_only_the_batch_has_running_statistics_which_start_from_zero():
    host = Host(FILE, momentum=0.5)
    x, _ = inputs("NCHW")
    host(x)
    close(host.value("running_mean"), 0.5 * x.mean((0, 2, 3)))
    close(host.value("running_var"), 0.5 * x.var((0, 2, 3)))


def test_one_position_without_bias_is_finite():
    host = Host(FILE, unbiased=True)
    x, dy = inputs("", shape=(4, 8, 1, 1))
    for training in (True, False):
        done = host(x, dy, training=training)
        assert all(np.isfinite(value).all() for value in (done.y, done.dx, *done.gradients.values()))
