"""Graphs in both modes: state changes once a training pass, and batch sizes and modes are plain values."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

import normlab
from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import batch_size, frozen_state, is_training
from normlab.errors import PluginBroken, PluginError
from normlab.norms.batch import BatchNorm
from normlab.norms.blocks import NormBlock
from normlab.norms.ways import NormLayer

mx = mxnet()


class Counter(NormLayer):
    """Counts training passes in its state."""

    def __init__(self, **site):
        super().__init__(**site)
        self.state("count", shape=lambda _: (1,))

    def hybrid_forward(self, F, x, count):
        if self.training:
            self.update(count=count + 1)
        return F.identity(x)


def block_of(layer):
    block = NormBlock(layer)
    block.initialize(ctx=[mx.cpu(0), mx.cpu(1)])
    return block


def runner(block, *, training, hybridize, **options):
    parameters = block.collect_params().values()
    graph = Graph(lambda _, x: block(x), parameters, training=training, hybridize=hybridize, **options)
    return lambda x: graph(x)[0]


@pytest.fixture(params=[True, False], ids=["graph", "imperative"])
def hybridize(request):
    return request.param


class Sized(NormLayer):
    """Adds the batch size to its state and to its input."""

    def __init__(self, **site):
        super().__init__(**site)
        self.state("seen", shape=lambda _: (1,))
        self.traced = 0

    def hybrid_forward(self, F, x, seen):
        self.traced += 1
        self.update(seen=seen + batch_size(F, x))
        return x + batch_size(F, x)


def test_method_that_uses_the_batch_size_is_traced_once_for_each_size(hybridize):
    layer = Sized(in_channels=3, layout="NC")
    block = block_of(layer)
    run = runner(block, training=True, hybridize=hybridize)
    for count in (4, 2, 4, 5, 2):
        x = mx.nd.zeros((count, 3))
        x.attach_grad()
        with mx.autograd.record():
            y = run(x)
        y.backward()
        assert (y.asnumpy() == count).all()
        assert (x.grad.asnumpy() == 1).all()
    assert block.seen.data(mx.cpu(0)).asscalar() == 4 + 2 + 4 + 5 + 2
    assert layer.traced == (3 if hybridize else 5)


def test_method_that_does_not_use_the_batch_size_is_traced_once():
    layer = Counter(in_channels=3, layout="NC")
    layer.hybrid_forward = Mock(wraps=layer.hybrid_forward)
    run = runner(block_of(layer), training=True, hybridize=True)
    for count in (4, 2, 4):
        run(mx.nd.ones((count, 3)))
    assert layer.hybrid_forward.call_count == 1


@pytest.mark.parametrize("backwards", [0, 1, 2])
def test_state_changes_once_a_training_pass_regardless_of_backward_passes(hybridize, backwards):
    block = block_of(Counter(in_channels=3, layout="NC"))
    run = runner(block, training=True, hybridize=hybridize)
    x = mx.nd.ones((4, 3))
    x.attach_grad()
    with mx.autograd.record():
        y = run(x)
    for _ in range(backwards):
        y.backward(retain_graph=True)
    assert block.count.data(mx.cpu(0)).asscalar() == 1


def test_state_does_not_change_in_evaluation_or_if_frozen(hybridize):
    block = block_of(Counter(in_channels=3, layout="NC"))
    runner(block, training=False, hybridize=hybridize)(mx.nd.ones((4, 3)))
    runner(block, training=True, hybridize=hybridize, freeze_state=True)(mx.nd.ones((4, 3)))
    with frozen_state(), mx.autograd.train_mode():
        block(mx.nd.ones((4, 3)))
    assert block.count.data(mx.cpu(0)).asscalar() == 0


def test_each_device_has_its_own_state(hybridize):
    block = block_of(Counter(in_channels=3, layout="NC"))
    run = runner(block, training=True, hybridize=hybridize)
    for device in (mx.cpu(0), mx.cpu(1), mx.cpu(1)):
        run(mx.nd.ones((4, 3), ctx=device))
    assert [copy.asscalar() for copy in block.count.list_data()] == [1, 2]


def test_mode_outside_of_a_graph_is_that_of_mxnet():
    assert not is_training()
    with mx.autograd.record():
        assert is_training()
    with mx.autograd.record(train_mode=False):
        assert not is_training()


def test_hybridize_of_a_network_with_a_norm_is_refused_and_the_remedy_in_the_message_works():
    mx.random.seed(0)
    np.random.seed(0)
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Dense(4, in_units=3), normlab.norm("group").block(in_channels=4, layout="NC", groups=2))
    network.initialize()
    network.hybridize()
    x, loss_function = mx.nd.random.normal(shape=(8, 3)), mx.gluon.loss.L2Loss()
    with pytest.raises(PluginError, match=r"normlab\.Graph\(network, training=\.\.\.\)"):
        network(x)
    network.hybridize(active=False)

    step, evaluate = (normlab.Graph(network, training=training) for training in (True, False))
    trainer = mx.gluon.Trainer(network.collect_params(), "sgd", {"learning_rate": 0.1})
    losses = []
    for _ in range(20):
        with mx.autograd.record():
            loss = loss_function(step(x)[0], mx.nd.ones((8, 4)))
        loss.backward()
        trainer.step(8)
        losses.append(loss.mean().asscalar())
    assert losses[-1] < losses[0] / 2
    np.testing.assert_allclose(evaluate(x)[0].asnumpy(), network(x).asnumpy(), rtol=1e-5, atol=1e-6)


def test_update_of_an_undeclared_state_or_in_evaluation_is_refused():
    class Wrong(Counter):
        def hybrid_forward(self, F, x, count):
            self.update(count=count)
            return x

    class Unknown(Counter):
        def hybrid_forward(self, F, x, count):
            self.update(running_mean=count)
            return x

    with pytest.raises(PluginBroken, match="training only"):
        block_of(Wrong(in_channels=3, layout="NC"))(mx.nd.ones((4, 3)))
    with pytest.raises(PluginBroken, match="running_mean"):
        block_of(Unknown(in_channels=3, layout="NC"))(mx.nd.ones((4, 3)))


def test_unknown_shapes_are_inferred_from_the_first_input():
    block = block_of(BatchNorm(layout="NTC"))
    with mx.autograd.record():
        y = block(mx.nd.random.normal(shape=(4, 7, 5)))
    assert y.shape == (4, 7, 5)
    assert block.gamma.shape == (5,)
    np.testing.assert_allclose(y.asnumpy().mean(axis=(0, 1)), 0, atol=1e-6)


def test_graph_inside_frozen_state_does_not_change_state(hybridize):
    block = block_of(Counter(in_channels=3, layout="NC"))
    run = runner(block, training=True, hybridize=hybridize)
    with frozen_state():
        run(mx.nd.ones((4, 3)))
    assert block.count.data(mx.cpu(0)).asscalar() == 0
    run(mx.nd.ones((4, 3)))
    assert block.count.data(mx.cpu(0)).asscalar() == 1


def test_method_without_parameters_infers_its_channels_from_the_first_input():
    class Shapes(NormLayer):
        prepared = 0

        def prepare(self):
            self.prepared += 1

        def hybrid_forward(self, F, x):
            return F.identity(x)

    block = NormBlock(Shapes(layout="NTC"))
    block.initialize()
    block(mx.nd.ones((2, 3, 5)))
    assert (block.method.in_channels, block.method.prepared) == (5, 1)


def test_autograd_function_is_refused_in_a_graph():
    class Own(mx.autograd.Function):
        def forward(self, x):
            return x

        def backward(self, dy):
            return dy

    graph = Graph(lambda _, x: Own()(x), [], training=True)
    with pytest.raises(PluginBroken, match="hybridizable"):
        graph(mx.nd.ones((2, 2)))
