"""Losses, each against its definition in NumPy: values, gradients, extremes."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import describe
from normlab.training.losses import LOSSES

mx = mxnet()

CLASSES = 5
SMOOTHING = 0.3


def hot(z, y):
    return np.eye(z.shape[1])[y]


def logarithms(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def smoothed(z, y):
    q = SMOOTHING / CLASSES + (1 - SMOOTHING) * hot(z, y)
    return -(q * logarithms(z)).sum(1)


def binary(z, y):
    p = 1 / (1 + np.exp(-z))
    return -(hot(z, y) * np.log(p) + (1 - hot(z, y)) * np.log(1 - p)).sum(1)


def huber(z, y):
    d = np.abs(z - hot(z, y))
    return np.where(d <= 2, d**2 / 4, d - 1).sum(1)


def signs(z, y):
    return 2 * hot(z, y) - 1


def multiclass(z, y):
    right = z[np.arange(len(z)), y][:, None]
    costs = np.maximum(0, 1.5 + z - right)
    return (costs * (1 - hot(z, y))).sum(1)


BY_HAND = [
    ("softmax_cross_entropy", {}, lambda z, y: -(hot(z, y) * logarithms(z)).sum(1)),
    ("softmax_cross_entropy", {"label_smoothing": SMOOTHING}, smoothed),
    ("sigmoid_cross_entropy", {}, binary),
    ("squared_error", {}, lambda z, y: ((z - hot(z, y)) ** 2).sum(1) / 2),
    ("absolute_error", {}, lambda z, y: np.abs(z - hot(z, y)).sum(1)),
    ("huber", {"threshold": 2.0}, huber),
    ("one_vs_rest_hinge", {"margin": 0.7}, lambda z, y: np.maximum(0, 0.7 - signs(z, y) * z).sum(1)),
    ("one_vs_rest_squared_hinge", {}, lambda z, y: (np.maximum(0, 1 - signs(z, y) * z) ** 2).sum(1)),
    ("multiclass_hinge", {"margin": 1.5}, multiclass),
]
each_loss = pytest.mark.parametrize(("name", "parameters", "by_hand"), BY_HAND)


def sample():
    rng = np.random.default_rng(1)
    return rng.normal(0, 2, (30, CLASSES)).astype(np.float32), rng.integers(0, CLASSES, 30)


def test_every_loss_has_its_definition_here():
    assert {name for name, _, _ in BY_HAND} == set(LOSSES)


@each_loss
def test_values_match_the_definition(name, parameters, by_hand):
    z, y = sample()
    values = LOSSES[name](**parameters).each(mx.nd, mx.nd.array(z), mx.nd.array(y))
    assert values.shape == (30,)
    np.testing.assert_allclose(values.asnumpy(), by_hand(z.astype(float), y), rtol=1e-5, atol=1e-5)


@each_loss
def test_gradients_match_finite_differences_of_the_definition(name, parameters, by_hand):
    z, y = sample()
    outputs = mx.nd.array(z)
    outputs.attach_grad()
    with mx.autograd.record():
        loss = LOSSES[name](**parameters).each(mx.nd, outputs, mx.nd.array(y)).sum()
    loss.backward()
    expected = np.empty_like(z)
    for k in range(CLASSES):
        step = 1e-6 * np.eye(CLASSES)[k]
        expected[:, k] = (by_hand(z + step, y) - by_hand(z - step, y)) / 2e-6
    np.testing.assert_allclose(outputs.grad.asnumpy(), expected, atol=1e-4)


@each_loss
def test_values_in_a_graph_match_the_definition(name, parameters, by_hand):
    z, y = sample()
    loss = LOSSES[name](**parameters)
    (values,) = Graph(loss.each, [], training=True)(mx.nd.array(z), mx.nd.array(y))
    np.testing.assert_allclose(values.asnumpy(), by_hand(z.astype(float), y), rtol=1e-5, atol=1e-5)


@each_loss
def test_losses_of_large_outputs_are_finite(name, parameters, by_hand):
    assert by_hand is not None
    z = mx.nd.array([[300.0, -300.0], [-300.0, 300.0]])
    assert np.isfinite(LOSSES[name](**parameters).each(mx.nd, z, mx.nd.array([0, 0])).asnumpy()).all()


@each_loss
def test_nan_outputs_give_a_nan_loss(name, parameters, by_hand):
    assert by_hand is not None
    z = mx.nd.array([[np.nan, np.nan, np.nan], [0.5, 0.0, 1.0]])
    values = LOSSES[name](**parameters).each(mx.nd, z, mx.nd.array([1, 2])).asnumpy()
    assert list(np.isnan(values)) == [True, False]


def test_correct_outputs_beyond_the_margin_have_no_loss():
    z = mx.nd.array([[-9.0, 9.0, -9.0]])
    for name in ("one_vs_rest_hinge", "one_vs_rest_squared_hinge", "multiclass_hinge"):
        assert LOSSES[name]().each(mx.nd, z, mx.nd.array([1])).asscalar() == 0
        assert LOSSES[name]().each(mx.nd, z, mx.nd.array([0])).asscalar() > 1


def test_zero_smoothing_gives_exactly_the_plain_loss():
    z, y = sample()
    plain, none = (
        LOSSES["softmax_cross_entropy"](**parameters).each(mx.nd, mx.nd.array(z), mx.nd.array(y)).asnumpy()
        for parameters in ({}, {"label_smoothing": 0.0})
    )
    assert (plain == none).all()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_reduction_and_describes_its_parameters(name):
    parameters = {parameter.name: parameter for parameter in describe((LOSSES[name],))}
    assert parameters["reduction"].type == "sum | mean"
    assert LOSSES[name](reduction="sum").reduction == "sum"
    assert all(parameter.description for parameter in parameters.values())
