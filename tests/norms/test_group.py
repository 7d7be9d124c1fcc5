"""Group, instance and layer norm, which standardize within an example, against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, per_channel

from normlab.errors import SpecError

GROUP, INSTANCE, LAYER = "statistics/group.py", "statistics/instance.py", "statistics/layer.py"


def grouped(groups, epsilon=1e-5):
    def formula(x, gamma, beta):
        rows = x.reshape(len(x), groups, -1)
        mean, var = rows.mean(2, keepdims=True), rows.var(2, keepdims=True)
        y = ((rows - mean) / np.sqrt(var + epsilon)).reshape(x.shape)
        return per_channel(gamma, x) * y + per_channel(beta, x)

    return formula


def over_channels(x, gamma, beta, epsilon=1e-5):
    y = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + epsilon)
    return per_channel(gamma, x) * y + per_channel(beta, x)


CASES = {
    "group-NC": (GROUP, "NC", {"groups": 2}, grouped(2)),
    "group-NCHW": (GROUP, "NCHW", {"groups": 4}, grouped(4)),
    "group-NTC": (GROUP, "NTC", {"groups": 2}, grouped(2)),
    "group-of-size": (GROUP, "NCHW", {"group_size": 4}, grouped(2)),
    "group-one": (GROUP, "NCHW", {"groups": 1}, grouped(1)),
    "group-clipped": (GROUP, "NCHW", {"groups": 32, "clip": True}, grouped(8)),
    "group-epsilon": (GROUP, "NCHW", {"groups": 2, "epsilon": 0.1}, grouped(2, 0.1)),
    "instance-NCHW": (INSTANCE, "NCHW", {}, grouped(8)),
    "instance-NTC": (INSTANCE, "NTC", {}, grouped(8)),
    "instance-epsilon": (INSTANCE, "NCHW", {"epsilon": 0.1}, grouped(8, 0.1)),
    "layer-NC": (LAYER, "NC", {}, grouped(1)),
    "layer-NC-channels": (LAYER, "NC", {"over": "channels"}, over_channels),
    "layer-NCHW": (LAYER, "NCHW", {}, grouped(1)),
    "layer-NCHW-channels": (LAYER, "NCHW", {"over": "channels"}, over_channels),
    "layer-NTC": (LAYER, "NTC", {}, over_channels),
    "layer-NTC-all": (LAYER, "NTC", {"over": "all"}, grouped(1)),
    "layer-epsilon": (LAYER, "NCHW", {"epsilon": 0.1}, grouped(1, 0.1)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_output_and_gradients_equal_the_formula(case, hybridize, training):
    file, layout, options, formula = CASES[case]
    values = affine_values()
    host = Host(file, layout, values, hybridize=hybridize, **options)
    equal_formula(host, formula, *inputs(layout), values, training=training)


@pytest.mark.parametrize("case", ["group-NCHW", "instance-NCHW", "layer-NCHW", "layer-NCHW-channels"])
def test_in_float64_it_is_exact(case):
    file, layout, options, formula = CASES[case]
    x, dy = inputs(layout)
    values = affine_values()
    done = Host(file, layout, values, dtype="float64", **options)(x, dy)
    close(done.y, formula(x, **values), 1e-12)


def test_groups_of_one_or_all_are_instance_and_layer_norm():
    x, dy = inputs("NCHW")
    values = affine_values()
    # instance normalization scales and shifts in the operator that standardizes, which rounds otherwise
    for groups, file, tolerance in ((8, INSTANCE, 1e-6), (1, LAYER, 0)):
        one, other = Host(GROUP, values=values, groups=groups)(x, dy), Host(file, values=values)(x, dy)
        assert np.abs(one.y - other.y).max() <= tolerance
        assert np.abs(one.dx - other.dx).max() <= tolerance


def test_a_fine_or_wide_layer_equals_the_formula_too():
    x, dy = inputs("NCHW", shape=(3, 64, 16, 16))
    values = affine_values(64)
    done = Host(GROUP, values=values, channels=64)(x, dy)
    close(done.y, grouped(32)(x, **values))
    direction = np.random.default_rng(0).normal(size=x.shape)
    ahead, behind = (grouped(32)(x + sign * 1e-5 * direction, **values) for sign in (1, -1))
    expected = ((ahead - behind) * dy).sum() / 2e-5
    assert (done.dx * direction).sum() == pytest.approx(expected, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "channels", "layout", "told"),
    [
        ({}, 48, "NCHW", "groups 32 does not divide the 48 channels"),
        ({"groups": 3}, 8, "NCHW", "expected one of 1, 2, 4, 8"),
        ({"groups": 32}, 8, "NCHW", "clip: true"),
        ({"group_size": 3}, 8, "NCHW", "group_size 3 does not divide"),
        ({"group_size": 16}, 8, "NCHW", "clip: true"),
        ({"groups": 8}, 8, "NC", "fewer groups than the 8 channels"),
        ({"group_size": 1}, 8, "NC", "groups of one channel in layout NC"),
    ],
)
def test_groups_that_do_not_fit_are_refused(options, channels, layout, told):
    with pytest.raises(SpecError, match=told):
        Host(GROUP, layout, channels=channels, **options)


def test_groups_are_settled_when_channels_are_known_late():
    x, _ = inputs("NCHW")
    late = Host(GROUP, channels=0, hybridize=False, groups=2)
    close(late(x).y, grouped(2)(x, np.ones(8), np.zeros(8)))
    with pytest.raises(SpecError, match="does not divide"):
        Host(GROUP, channels=0, hybridize=False, groups=3)(x)


def test_instance_norm_refuses_a_layout_without_positions():
    with pytest.raises(SpecError, match="NC"):
        Host(INSTANCE, "NC")


def test_gamma_and_beta_have_one_value_a_channel():
    for file in (GROUP, INSTANCE, LAYER):
        host = Host(file, groups=2) if file is GROUP else Host(file)
        assert host.value("gamma").tolist() == [1] * 8
        assert host.value("beta").tolist() == [0] * 8
