"""Online, moving average and power normalization, and the centred weight: what their stored cases do not show."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, inputs, mx, norm

from normlab.norms.blocks import WeightBlock

ONLINE, MABN, POWER = (f"statistics/{name}.py" for name in ("online", "mabn", "power_norm"))
SLOW_STATES = {"momentum": 0.8, "backward_momentum": 0.7}


def host(file, layout="NCHW", **options):
    return Host(file, layout, affine_values(), hybridize=False, dtype="float64", **options)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_online_takes_one_batch_as_it_takes_two_after_each_other(cut):
    x, dy = inputs("NCHW")
    one, other = (host(ONLINE, **SLOW_STATES) for _ in range(2))
    whole = one(x, dy)
    parts = [other(x[:cut], dy[:cut]), other(x[cut:], dy[cut:])]
    close(np.concatenate([part.y for part in parts]), whole.y, 1e-12)
    close(np.concatenate([part.dx for part in parts]), whole.dx, 1e-12)
    for state in ("running_mean", "running_var", "error_y", "error_one"):
        close(other.value(state), one.value(state), 1e-12)


def test_online_compensates_as_asked():
    x, _ = inputs("NC")
    scaled, clamped, plain = (
        host(ONLINE, "NC", compensation=way)(10 * x).y for way in ("layer_scaling", "clamping", "none")
    )
    close((scaled**2).mean(1), np.ones(len(x)), 1e-4)
    assert np.array_equal(clamped, np.clip(plain, -5, 5))
    assert np.abs(plain).max() > 5


def test_mabn_averages_the_last_batches_once_it_is_warm():
    tested = Host(MABN, "NC", hybridize=False, dtype="float64", buffer=3, warm_up=0, momentum=0.5)
    squares = []
    for seed in range(5):
        x, dy = inputs("NC", seed)
        x = (seed + 1) * x
        squares.append((x**2).mean(0))
        chi = np.mean(squares[-3:], axis=0) if seed >= 3 else squares[-1]
        close(tested(x, dy).y, x / np.sqrt(chi + 1e-5), 1e-12)


def test_mabn_centres_the_weights():
    weight = np.random.default_rng(2).normal(3, 1, (8, 4, 3, 3))
    block = WeightBlock(norm(MABN).weight(out_channels=8))
    found = block(mx.nd.array(weight)).asnumpy()
    close(found, weight - weight.mean((1, 2, 3), keepdims=True), 1e-6)


def test_power_norm_divides_by_the_batch_in_the_warm_up_and_by_the_running_square_after_it():
    x, dy = inputs("NC")
    h = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5)
    square = (h**2).mean(0)
    tested = Host(POWER, "NC", hybridize=False, dtype="float64", warm_up=1, momentum=0.5)
    close(tested(x, dy).y, h / np.sqrt(square + 1e-5), 1e-12)
    running = tested.value("running_square")
    close(running, (1 + square) / 2, 1e-12)
    close(tested(x, dy).y, h / np.sqrt(running + 1e-5), 1e-12)
    close(tested(x, training=False).y, h / np.sqrt((running + square) / 2 + 1e-5), 1e-12)


@pytest.mark.parametrize("file", [ONLINE, MABN, POWER])
def test_one_position_is_a_vector(file):
    x, dy = inputs("NC")
    vectors, maps = host(file, "NC"), host(file)
    for _ in range(2):
        flat, shaped = vectors(x, dy), maps(x[..., None, None], dy[..., None, None])
        close(shaped.y[..., 0, 0], flat.y, 1e-12)
        close(shaped.dx[..., 0, 0], flat.dx, 1e-12)
