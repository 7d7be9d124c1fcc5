"""Global averaging and dropout, in graphs and imperatively, in both modes."""

from __future__ import annotations

import numpy as np
import pytest
from models_support import operated, predicted, trained

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.models.layers import Dropout, GlobalAverage
from normlab.training.randomness import seed_mxnet

mx = mxnet()
nn = mx.gluon.nn


@pytest.mark.parametrize("hybridize", [True, False])
@pytest.mark.parametrize(("shape", "keep_axes"), [((3, 5, 4, 7), False), ((2, 3, 1, 1), False), ((2, 4, 8, 8), True)])
def test_global_average_and_its_gradient_match_the_mean(shape, keep_axes, hybridize):
    block = GlobalAverage(shape[1], shape[2] * shape[3], keep_axes=keep_axes)
    x = mx.nd.random.normal(shape=shape)
    factor = mx.nd.random.normal(shape=shape[:2])
    x.attach_grad()
    graph = Graph(lambda F, x, f: F.reshape(block(x), shape=(-1, shape[1])) * f, [], training=True, hybridize=hybridize)
    with mx.autograd.record():
        y = graph(x, factor)[0]
    y.backward()
    positions = shape[2] * shape[3]
    np.testing.assert_allclose(y.asnumpy(), (x.mean(axis=(2, 3)) * factor).asnumpy(), rtol=1e-5, atol=1e-6)
    expected = np.broadcast_to(factor.asnumpy()[:, :, None, None] / positions, shape)
    np.testing.assert_allclose(x.grad.asnumpy(), expected, rtol=1e-5)
    assert block(x).shape == (shape[:2] if not keep_axes else (*shape[:2], 1, 1))


@pytest.mark.parametrize("hybridize", [True, False])
def test_dropout_drops_only_in_training(hybridize):
    block, x = Dropout(0.25), mx.nd.ones((100, 100))
    assert (predicted(block, x, hybridize=hybridize) == 1).all()
    y = trained(block, x, hybridize=hybridize)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_dropout_depends_on_the_seed_of_mxnet():
    block, x = Dropout(0.5), mx.nd.ones((8, 8))
    drawn = []
    for step in (1, 2, 1):
        seed_mxnet(0, "dropout", step)
        drawn.append(trained(block, x))
    assert (drawn[0] == drawn[2]).all()
    assert (drawn[0] != drawn[1]).any()


def test_dropout_along_axes_drops_whole_channels():
    y = trained(Dropout(0.5, axes=(2, 3)), mx.nd.ones((4, 50, 3, 3)))
    assert (y == y[:, :, :1, :1]).all()
    assert 0 < (y == 0).mean() < 1


@pytest.mark.parametrize("hybridize", [True, False])
def test_gluons_dropout_is_replaced_so_that_eval_mode_drops_nothing(hybridize):
    net = nn.HybridSequential()
    net.add(nn.Dropout(0.5), nn.Dense(3, in_units=5), nn.Dropout(0.0))
    block, _ = operated(net, (5,), "none")
    x = mx.nd.ones((2, 5))
    assert [type(block[index]).__name__ for index in range(3)] == ["Dropout", "Dense", "Dropout"]
    assert isinstance(block[0], Dropout)
    np.testing.assert_array_equal(predicted(block, x, hybridize=hybridize), predicted(block, x, hybridize=hybridize))
    assert (trained(block, x, hybridize=hybridize) != trained(block, x, hybridize=hybridize)).any()
