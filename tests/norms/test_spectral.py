"""Spectral normalization: the largest singular value, its vectors as state, and where they start."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import close, mx, norm

from normlab.backend.graph import Graph
from normlab.models.weights import normalize_weights
from normlab.norms.blocks import WeightBlock
from normlab.spec import Part

SPECTRAL = norm("weights/spectral_norm.py")


def weight(shape=(6, 3, 2, 2)):
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def largest(value):
    return np.linalg.svd(value.reshape(len(value), -1), compute_uv=False)[0]


def layer(**parameters):
    """A convolution whose weight is normalized, in a network, and the block that hosts the method."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(6, 2, in_channels=3))
    net.initialize()
    net[0].weight.set_data(mx.nd.array(weight()))
    chosen = {"iterations": 1, "warm_up": 15, "epsilon": 1e-12, **parameters}
    ((_, weighted),) = normalize_weights(net, [Part.resolved(SPECTRAL, chosen)])
    host = next(host for host in weighted._children.values() if isinstance(host, WeightBlock))
    host.initialize()
    weighted.start()
    return net, host


def states(host):
    return {name: host._reg_params[name].data().asnumpy() for name in ("u", "v")}


def graph(net, *, training):
    return Graph(lambda _, x: net(x), net.collect_params().values(), training=training)


def test_many_iterations_divide_by_the_largest_singular_value():
    method = SPECTRAL.weight(iterations=100, out_channels=6)
    block = WeightBlock(method, weight().shape)
    block.initialize()
    with mx.autograd.train_mode():
        found = block(mx.nd.array(weight())).asnumpy()
    close(found, weight() / largest(weight()), 1e-5)


def test_first_prediction_is_near_the_truth_after_the_warm_up():
    net, host = layer(warm_up=50)
    x = mx.nd.random.normal(shape=(2, 3, 5, 5))
    plain = mx.nd.Convolution(x, mx.nd.array(weight() / largest(weight())), no_bias=True, num_filter=6, kernel=(2, 2))
    close(graph(net, training=False)(x)[0].asnumpy(), plain.asnumpy(), 1e-4)
    assert states(host)["v"].shape == (12,)


def test_training_moves_the_vectors_and_prediction_does_not():
    net, host = layer(warm_up=1)
    x, start = mx.nd.ones((1, 3, 4, 4)), states(host)
    graph(net, training=False)(x)
    assert all(np.array_equal(start[name], value) for name, value in states(host).items())
    for _ in range(60):
        graph_of_training = graph(net, training=True)
        graph_of_training(x)
    rows = weight().reshape(6, -1)
    after = states(host)
    close(abs(after["u"] @ rows @ after["v"]), largest(weight()), 1e-4)
    for value in after.values():
        close(np.linalg.norm(value), 1.0, 1e-5)


@pytest.mark.parametrize("value", [weight(), np.zeros((6, 3, 2, 2), "float32")], ids=["drawn", "zeros"])
def test_without_warm_up_or_on_zeros_the_random_vectors_stay(value):
    assert SPECTRAL.weight(warm_up=0, out_channels=6).start(value) == {}
    assert set(SPECTRAL.weight(out_channels=6).start(value)) == ({"u", "v"} if value.any() else set())
