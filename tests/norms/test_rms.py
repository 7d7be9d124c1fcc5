"""Root mean square norm against its formula in NumPy, in all its variants."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, per_channel

from normlab.errors import SpecError

RMS = "statistics/rms.py"


def rms(epsilon=1e-6, *, inside=True, first=8, over="channels", offset=0.0):
    def formula(x, gamma, beta=None):
        axes = 1 if over == "channels" else tuple(range(1, x.ndim))
        mean = (x[:, :first] ** 2).mean(axes, keepdims=True)
        root = np.sqrt(mean + epsilon) if inside else np.sqrt(mean) + epsilon
        y = per_channel(gamma + offset, x) * x / root
        return y if beta is None else y + per_channel(beta, x)

    return formula


CASES = {
    "NC": ("NC", {}, rms()),
    "NCHW": ("NCHW", {}, rms()),
    "NTC": ("NTC", {}, rms()),
    "all-NC": ("NC", {"over": "all"}, rms(over="all")),
    "all-NCHW": ("NCHW", {"over": "all"}, rms(over="all")),
    "all-NTC": ("NTC", {"over": "all"}, rms(over="all")),
    "epsilon": ("NCHW", {"epsilon": 0.3}, rms(0.3)),
    "outside": ("NCHW", {"epsilon": 0.3, "epsilon_inside": False}, rms(0.3, inside=False)),
    "partial": ("NCHW", {"partial": 0.4}, rms(first=3)),
    "partial-all": ("NCHW", {"partial": 0.4, "over": "all"}, rms(first=3, over="all")),
    "zero-centered": ("NCHW", {"zero_centered_gamma": True}, rms(offset=1.0)),
    "center": ("NCHW", {"center": True}, rms()),
    "center-NC": ("NC", {"center": True, "zero_centered_gamma": True}, rms(offset=1.0)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_output_and_gradients_equal_the_formula(case, hybridize, training):
    layout, options, formula = CASES[case]
    values = affine_values()
    if not options.get("center"):
        del values["beta"]
    host = Host(RMS, layout, values, hybridize=hybridize, **options)
    equal_formula(host, formula, *inputs(layout), values, training=training)


def test_there_is_a_beta_only_where_it_is_asked_for():
    assert Host(RMS).names == ["gamma"]
    assert not Host(RMS).block.method.brings_shift
    assert Host(RMS, center=True).names == ["gamma", "beta"]
    assert Host(RMS, center=True).block.method.brings_shift


@pytest.mark.parametrize(("initializer", "start"), [("ones", 0.0), ("zeros", -1.0), (0.25, -0.75)])
def test_zero_centered_gamma_starts_one_lower(initializer, start):
    host = Host(RMS, zero_centered_gamma=True, site={"gamma_initializer": initializer})
    assert host.value("gamma").tolist() == [start] * 8


def test_zero_centered_gamma_takes_an_initializer_that_draws():
    host = Host(RMS, zero_centered_gamma=True, site={"gamma_initializer": lambda shape, _: np.arange(*shape)})
    assert host.value("gamma").tolist() == [-1, 0, 1, 2, 3, 4, 5, 6]


def test_a_share_that_is_no_channel_is_refused():
    with pytest.raises(SpecError, match=r"none; expected at least 0\.125"):
        Host(RMS, partial=0.1)


@pytest.mark.parametrize("inside", [True, False])
def test_zeros_give_zeros_and_finite_gradients(inside):
    zeros = np.zeros((2, 8, 3, 3))
    done = Host(RMS, epsilon_inside=inside)(zeros, zeros + 1)
    assert (done.y == 0).all()
    assert np.isfinite(done.dx).all()
    close(done.dx, np.full_like(zeros, 1e3 if inside else 1e6))
