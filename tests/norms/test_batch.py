"""Batch norm against a plain NumPy implementation in float64."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.norms.batch import BatchNorm
from normlab.norms.blocks import NormBlock

mx = mxnet()

SHAPES = {"NC": (12, 5), "NCHW": (6, 5, 3, 4), "NTC": (6, 7, 5)}
EPSILON = 1e-3


def channels_first(layout, x):
    return np.moveaxis(x, 2, 1) if layout == "NTC" else x


def statistics(x):
    axes = (0, *range(2, x.ndim))
    return x.mean(axis=axes), x.var(axis=axes)


def standardized(x, mean, var, gamma, beta):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, gamma, beta = (value.reshape(shape) for value in (mean, var, gamma, beta))
    return gamma * (x - mean) / np.sqrt(var + EPSILON) + beta


def gradient(x, dy, gamma):
    """Derived by hand: dx = gamma / s (dy - mean(dy) - x_hat mean(dy x_hat)), s = sqrt(var + epsilon)."""
    axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    mean, var = statistics(x)
    s = np.sqrt(var + EPSILON).reshape(shape)
    x_hat = (x - mean.reshape(shape)) / s
    inner = dy - dy.mean(axes).reshape(shape) - x_hat * (dy * x_hat).mean(axes).reshape(shape)
    return gamma.reshape(shape) / s * inner, (dy * x_hat).sum(axes), dy.sum(axes)


@pytest.fixture(params=[True, False], ids=["graph", "imperative"])
def hybridize(request):
    return request.param


@pytest.fixture(params=SHAPES)
def case(request):
    rng = np.random.default_rng(7)
    shape = SHAPES[request.param]
    x, dy = rng.normal(1.5, 2, (3, *shape)), rng.normal(size=shape)
    return request.param, x, dy, rng.uniform(0.5, 2, 5), rng.normal(size=5)


def make(layout, gamma, beta, **options):
    block = NormBlock(BatchNorm(epsilon=EPSILON, in_channels=5, layout=layout, **options))
    block.initialize()
    block.gamma.set_data(mx.nd.array(gamma))
    block.beta.set_data(mx.nd.array(beta))
    return block


def graphs(block, hybridize):
    return [
        Graph(lambda _, x: block(x), block.collect_params().values(), training=training, hybridize=hybridize)
        for training in (True, False)
    ]


@pytest.mark.parametrize("unbiased", [True, False])
def test_training_and_prediction_equal_the_formulas(case, hybridize, unbiased):
    layout, xs, dy, gamma, beta = case
    block = make(layout, gamma, beta, momentum=0.8, unbiased_running_var=unbiased)
    train, predict = graphs(block, hybridize)
    running_mean, running_var = np.zeros(5), np.ones(5)
    for x in xs:
        array = mx.nd.array(x)
        array.attach_grad()
        with mx.autograd.record():
            (y,) = train(array)
        y.backward(mx.nd.array(dy))
        first = channels_first(layout, x)
        mean, var = statistics(first)
        count = first.size / 5
        running_mean = 0.8 * running_mean + 0.2 * mean
        running_var = 0.8 * running_var + 0.2 * var * (count / (count - 1) if unbiased else 1)
        expected = standardized(first, mean, var, gamma, beta)
        np.testing.assert_allclose(channels_first(layout, y.asnumpy()), expected, atol=5e-6)
    dx, dgamma, dbeta = gradient(first, channels_first(layout, dy), gamma)
    np.testing.assert_allclose(channels_first(layout, array.grad.asnumpy()), dx, atol=5e-6)
    np.testing.assert_allclose(block.gamma.grad().asnumpy(), dgamma, atol=5e-5)
    np.testing.assert_allclose(block.beta.grad().asnumpy(), dbeta, atol=5e-5)
    np.testing.assert_allclose(block.running_mean.data().asnumpy(), running_mean, atol=1e-6)
    np.testing.assert_allclose(block.running_var.data().asnumpy(), running_var, rtol=2e-6)
    (y,) = predict(mx.nd.array(xs[0]))
    expected = standardized(channels_first(layout, xs[0]), running_mean, running_var, gamma, beta)
    np.testing.assert_allclose(channels_first(layout, y.asnumpy()), expected, atol=1e-5)


def test_gradient_recorded_in_prediction_is_that_of_fixed_statistics(case, hybridize):
    layout, xs, dy, gamma, beta = case
    block = make(layout, gamma, beta)
    _, predict = graphs(block, hybridize)
    x = mx.nd.array(xs[0])
    x.attach_grad()
    with mx.autograd.record(train_mode=False):
        (y,) = predict(x)
    y.backward(mx.nd.array(dy))
    shape = (1, -1) + (1,) * (len(xs[0].shape) - 2)
    expected = channels_first(layout, dy) * (gamma / np.sqrt(1 + EPSILON)).reshape(shape)
    np.testing.assert_allclose(channels_first(layout, x.grad.asnumpy()), expected, atol=5e-6)


def test_prediction_by_the_batch_at_hand_equals_training_and_needs_no_state(case, hybridize):
    layout, xs, dy, gamma, beta = case
    block = make(layout, gamma, beta, predict="batch")
    _, predict = graphs(block, hybridize)
    x = mx.nd.array(xs[0])
    x.attach_grad()
    with mx.autograd.record(train_mode=False):
        (y,) = predict(x)
    y.backward(mx.nd.array(dy))
    first = channels_first(layout, xs[0])
    expected = standardized(first, *statistics(first), gamma, beta)
    np.testing.assert_allclose(channels_first(layout, y.asnumpy()), expected, atol=5e-6)
    dx, *_ = gradient(first, channels_first(layout, dy), gamma)
    np.testing.assert_allclose(channels_first(layout, x.grad.asnumpy()), dx, atol=5e-6)
    assert not any(declared.state for declared in block.method.declared.values())
