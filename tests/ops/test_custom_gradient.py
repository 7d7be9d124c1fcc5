"""Custom backward passes: their gradients, the state that they update, the order of reads and writes, no deadlock."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import mx

from normlab.backend.graph import Graph
from normlab.backend.tracing import frozen_state
from normlab.errors import PluginBroken
from normlab.ops.custom_gradient import apply_custom_gradient


def doubled(x, gamma, seen):
    """Return 2 gamma x; its custom gradient of x is that of the output plus the state, which counts backward passes."""

    def forward(gamma, seen):
        def backward(gradient):
            return gradient + seen, (2 * gradient * x).sum(axis=0), seen + 1

        return 2 * gamma * x, backward

    return apply_custom_gradient(forward, x, (gamma,), (seen,))


@pytest.fixture
def arrays():
    x, gamma = mx.nd.arange(6).reshape((2, 3)), mx.nd.array([1.0, 2.0, 3.0])
    for array in (x, gamma):
        array.attach_grad()
    return x, gamma, mx.nd.zeros(1)


def test_output_gradients_and_state_are_those_of_the_custom_passes(arrays):
    x, gamma, seen = arrays
    with mx.autograd.record():
        y = doubled(x, gamma, seen) * 5
    y.backward()
    assert np.array_equal(y.asnumpy(), 10 * (gamma * x).asnumpy())
    assert np.array_equal(x.grad.asnumpy(), np.full((2, 3), 5.0))
    assert np.array_equal(gamma.grad.asnumpy(), 10 * x.asnumpy().sum(0))
    assert seen.asscalar() == 1


def test_reader_of_state_after_backward_gets_the_new_value(arrays):
    x, gamma, seen = arrays
    for _ in range(50):  # without a wait
        with mx.autograd.record():
            y = doubled(x, gamma, seen)
        y.backward()
    assert seen.asscalar() == 50
    assert np.array_equal(x.grad.asnumpy(), np.full((2, 3), 50.0))


def test_parameters_can_be_updated_right_after_backward(arrays):
    x, gamma, seen = arrays
    for _ in range(50):
        with mx.autograd.record():
            y = doubled(doubled(x, gamma, seen), gamma, seen)
        y.backward()
        gamma -= 1e-3 * gamma.grad  # what the backward pass uses is a copy
    assert np.isfinite(gamma.asnumpy()).all()


def test_second_backward_pass_writes_the_same_state(arrays):
    x, gamma, seen = arrays
    with mx.autograd.record():
        y = doubled(x, gamma, seen)
    for _ in range(2):
        y.backward(retain_graph=True)
        assert (seen.asscalar(), x.grad.asnumpy()[0, 0]) == (1, 1)


@pytest.mark.parametrize("recording", [True, False])
def test_state_does_not_change_without_backward_pass_or_if_frozen(arrays, recording):
    x, gamma, seen = arrays
    if not recording:
        doubled(x, gamma, seen).wait_to_read()
    else:
        with frozen_state(), mx.autograd.record():
            y = doubled(x, gamma, seen)
        y.backward()
        assert np.array_equal(x.grad.asnumpy(), np.ones((2, 3)))
    assert seen.asscalar() == 0


def test_symbol_is_refused(arrays):
    x, gamma, seen = arrays
    graph = Graph(lambda _, x: doubled(x, gamma, seen), [], training=True)
    with pytest.raises(PluginBroken, match="can't be compiled; set hybridizable = False"):
        graph(x)


def test_gradient_of_a_following_convolution_has_the_plain_layout():
    random = np.random.default_rng(1)
    convolution = {"no_bias": True, "num_filter": 16, "kernel": (3, 3), "pad": (1, 1)}
    before, after = (mx.nd.array(random.normal(size=(16, 16, 3, 3))) for _ in range(2))
    x = mx.nd.array(random.normal(size=(16, 16, 8, 8)))
    x.attach_grad()

    def gradient(between):
        with mx.autograd.record():
            h = mx.nd.Activation(between(mx.nd.Convolution(x, before, **convolution)), act_type="relu")
            y = mx.nd.Convolution(h, after, **convolution)
        y.backward(mx.nd.array(np.arange(y.size).reshape(y.shape) % 7))
        return x.grad.asnumpy()

    expected = gradient(lambda h: h * 1)
    for _ in range(20):  # the wrong layout shows at times
        found = gradient(lambda h: apply_custom_gradient(lambda: (h * 1, lambda g: (g * 1,)), h, ()))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
