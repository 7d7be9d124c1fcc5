"""Adaptive gradient clipping against its formula in NumPy, and which parameters it leaves alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from norms_support import close, mx, norm

AGC = "free/agc.py"


def made(**options):
    return norm(AGC).gradient(**options)


def clip(method, weight, gradient, name="conv0.weight"):
    weight, gradient = (mx.nd.array(value) for value in (weight, gradient))
    return method(mx.nd, name, weight, gradient).asnumpy()


def formula(weight, gradient, clipping=0.01, epsilon=1e-3):
    flat_weight, flat = (v.reshape(len(v), -1) if v.ndim > 1 else v.reshape(1, -1) for v in (weight, gradient))
    allowed = clipping * np.maximum(np.linalg.norm(flat_weight, axis=1, keepdims=True), epsilon)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > allowed, flat * allowed / length, flat).reshape(gradient.shape)


@pytest.mark.parametrize("shape", [(8, 12), (8, 4, 3, 3), (8,)])
@pytest.mark.parametrize("options", [{}, {"clipping": 0.5}, {"epsilon": 2.0}])
def test_gradients_equal_the_formula(shape, options):
    random = np.random.default_rng(1)
    weight = random.normal(0, 0.3, shape)
    # lengths from far within to far beyond the bound
    gradient = random.normal(size=shape) * np.logspace(-4, 1, 8).reshape(-1, *[1] * (len(shape) - 1))
    expected = formula(weight, gradient, **options)
    found = clip(made(**options), weight, gradient)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    if len(shape) > 1:
        assert 0 < (expected != gradient).any(axis=tuple(range(1, len(shape)))).sum() < 8


def test_a_gradient_within_the_bound_is_bitwise_the_same():
    gradient = np.random.default_rng(1).normal(0, 1e-4, (8, 12)).astype("float32")
    assert np.array_equal(clip(made(), np.ones((8, 12)), gradient), gradient)


def test_weights_of_zeros_can_still_move():
    found = clip(made(), np.zeros((8, 12)), np.ones((8, 12)))
    close(np.linalg.norm(found, axis=1), np.full(8, 1e-5), 1e-9)
    assert (clip(made(), np.zeros((8, 12)), np.zeros((8, 12))) == 0).all()


def test_biases_and_gains_can_be_left_out():
    weight, gradient = np.ones(8), np.full(8, 100.0)
    assert np.linalg.norm(clip(made(), weight, gradient, "site0.norm.gamma")) == pytest.approx(0.01 * 8**0.5)
    assert np.array_equal(clip(made(biases_and_gains=False), weight, gradient, "site0.norm.gamma"), gradient)


def network(*names):
    """What `prepare` looks at: a block whose parameters are in the order of building, and their structural names."""
    made_of = {name: object() for name in names}
    block = SimpleNamespace(collect_params=lambda: dict(enumerate(made_of.values())))
    return SimpleNamespace(block=block, parameters=dict(sorted(made_of.items())))


def test_the_last_layer_is_left_alone_unless_asked():
    names = ("conv.weight", "site.norm.gamma", "stage9.conv.weight", "output.weight", "output.bias")
    gradient = np.full((8, 12), 100.0)
    method, all_layers = made(), made(last_layer=True)
    for one in (method, all_layers):
        one.prepare(network(*names))
    left_alone = {name for name in names if np.array_equal(clip(method, gradient / 100, gradient, name), gradient)}
    assert left_alone == {"output.weight", "output.bias"}
    assert not any(np.array_equal(clip(all_layers, gradient / 100, gradient, name), gradient) for name in names)
