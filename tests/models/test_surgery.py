"""Replacing the norms in networks of plain Gluon blocks: what is replaced, kept and refused."""

from __future__ import annotations

import numpy as np
import pytest
from models_support import chosen, operated, predicted, trained

from normlab.backend.mxnet import gluoncv, mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv.surgery import BATCH_NORM, add_bias, operate
from normlab.models.gluoncv.wiring import infer_shapes
from normlab.models.layers import GlobalAverage
from normlab.models.sites import Sites
from normlab.models.tree import find_all_blocks, named_blocks
from normlab.norms.blocks import NormBlock
from normlab.ops.activations import make_activation

mx = mxnet()
nn = mx.gluon.nn
IMAGE = (3, 6, 6)


def stacked(*blocks):
    net = nn.HybridSequential()
    net.add(*blocks)
    return net


class Around(mx.gluon.HybridBlock):
    """Runs a function of F, the block and x."""

    def __init__(self, run, **children):
        super().__init__()
        self.run = run
        for name, child in children.items():
            setattr(self, name, child)

    def hybrid_forward(self, F, x):
        return self.run(F, self, x)


def methods(block):
    return [inner.method for inner in named_blocks(block).values() if isinstance(inner, NormBlock)]


def test_norms_are_replaced_in_attributes_lists_and_nested_containers():
    class Net(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.first = nn.BatchNorm()
            self.several = [nn.BatchNorm(), {"deep": (nn.BatchNorm(), None)}]
            for index, norm in enumerate([self.several[0], self.several[1]["deep"][0]]):
                self.register_child(norm, f"listed{index}")
            self.inner = stacked(nn.Conv2D(4, 1), nn.BatchNorm())

        def hybrid_forward(self, F, x):
            return self.inner(self.several[1]["deep"][0](self.several[0](self.first(x))))

    block, _ = operated(Net(), IMAGE, "plain")
    assert [type(method).__name__ for method in methods(block)] == ["Plain"] * 4
    assert not [inner for inner in find_all_blocks(block) if isinstance(inner, BATCH_NORM)]
    plain = block.inner[0](mx.nd.ones((2, *IMAGE))).asnumpy() / 16
    np.testing.assert_allclose(predicted(block, mx.nd.ones((2, *IMAGE))), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [nn.BatchNorm, lambda: mx.gluon.contrib.nn.SyncBatchNorm(num_devices=1)])
def test_all_kinds_of_batch_norm_are_replaced(make):
    block, _ = operated(stacked(nn.Conv2D(4, 3), make()), IMAGE, "batch")
    (method,) = methods(block)
    assert type(method).__name__ == "BatchNorm"
    assert method.in_channels == 4


def test_batch_norm_with_relu_becomes_a_norm_and_a_relu():
    for norm in ("plain", "gate"):
        block, _ = operated(stacked(nn.Conv2D(4, 3), nn.BatchNormReLU()), IMAGE, norm)
        (method,) = methods(block)
        assert method.activation == "relu"
        y = predicted(block, mx.nd.random.normal(shape=(2, *IMAGE)))
        assert (y >= 0).all()
        assert (y == 0).any()
        # there is one relu: in the site, unless the norm replaces it
        assert list(block[1]._children) == (["norm", "activation"] if norm == "plain" else ["norm"])


def test_the_networks_choices_for_gamma_and_beta_are_kept():
    net = stacked(nn.BatchNorm(scale=False, center=False), nn.Conv2D(4, 1), nn.BatchNorm(gamma_initializer="zeros"))
    block, sites = operated(net, IMAGE, "batch")
    first, last = (inner for inner in named_blocks(block).values() if isinstance(inner, NormBlock))
    assert [first.gamma.grad_req, first.beta.grad_req] == ["null", "null"]
    assert [last.gamma.grad_req, last.beta.grad_req] == ["write", "write"]
    assert not last.gamma.data().asnumpy().any()
    assert first.gamma.data().asnumpy().all()
    assert sites.notes == []


def test_zero_gamma_is_noted_if_the_new_norm_has_no_gamma():
    _, sites = operated(stacked(nn.Conv2D(4, 1), nn.BatchNorm(gamma_initializer="zeros")), IMAGE, "none")
    assert any("norm none has no gamma" in note for note in sites.notes)


@pytest.mark.parametrize(
    ("net", "shape", "layout", "channels"),
    [
        (lambda: stacked(nn.Dense(5), nn.BatchNorm()), (3,), "NC", 5),
        (lambda: stacked(nn.BatchNorm(axis=-1)), (7, 5), "NTC", 5),
        (lambda: stacked(nn.BatchNorm(axis=-3)), (5, 4, 4), "NCHW", 5),
    ],
)
def test_the_layout_follows_from_axis_and_number_of_axes(net, shape, layout, channels):
    block, _ = operated(net(), shape, "batch")
    (method,) = methods(block)
    assert (method.layout, method.in_channels) == (layout, channels)


def test_an_unsupported_axis_is_refused_by_name():
    with pytest.raises(SpecError, match="norm 0 acts on axis 3 of 4; expected one of the layouts NC, NCHW, NTC"):
        operated(stacked(nn.BatchNorm(axis=3)), (4, 4, 5), "batch")


def test_the_layer_before_a_site_gets_a_bias_if_the_new_norm_has_no_shift():
    net = stacked(
        nn.Conv2D(4, 3, use_bias=False),
        nn.BatchNorm(),
        nn.Conv2D(4, 1, use_bias=False),
        nn.BatchNorm(center=False),
        nn.Flatten(),
        nn.Dense(5, use_bias=False),
        nn.BatchNorm(),
        nn.Dense(2, use_bias=False),
    )
    block, sites = operated(net, IMAGE, "none")
    # no bias is added where the norm had no shift either, or where there was no norm
    assert [layer.bias is not None for layer in (block[0], block[2], block[5], block[7])] == [True, False, True, False]
    assert [id(bias) for bias in sites.optional_biases] == [id(block[0].bias), id(block[5].bias)]
    assert sites.notes == []
    for layer in (block[0], block[5]):
        layer.bias.set_data(mx.nd.ones(layer.bias.shape))
    x = mx.nd.zeros((2, *IMAGE))
    assert (block[0](x).asnumpy() == 1).all()
    assert (block[5](mx.nd.zeros((2, 64))).asnumpy() == 1).all()


def test_an_existing_bias_is_kept_and_not_optional():
    block, sites = operated(stacked(nn.Conv2D(4, 3), nn.BatchNorm()), IMAGE, "none")
    assert block[0].bias is not None
    assert sites.optional_biases == []


def test_no_bias_is_added_before_a_norm_with_a_shift():
    block, sites = operated(stacked(nn.Conv2D(4, 3, use_bias=False), nn.BatchNorm()), IMAGE, "batch")
    assert block[0].bias is None
    assert sites.optional_biases == []


def test_sites_whose_shift_is_lost_are_noted():
    net = Around(
        lambda _, self, x: self.norm(self.conv(x)) + self.conv(x) + self.pooled(self.pool(x)),
        conv=nn.Conv2D(3, 1, use_bias=False),
        norm=nn.BatchNorm(),
        pool=nn.MaxPool2D(1),
        pooled=nn.BatchNorm(),
    )
    _, sites = operated(net, IMAGE, "none")
    assert sites.optional_biases
    (note,) = sites.notes
    assert "1 of its sites" in note
    assert "norm none lacks: pooled" in note


def test_a_layer_whose_output_is_also_used_elsewhere_gets_no_bias():
    def run(_, self, x):
        y = self.conv(x)
        return self.norm(y) + y

    block, sites = operated(Around(run, conv=nn.Conv2D(3, 1, use_bias=False), norm=nn.BatchNorm()), IMAGE, "none")
    assert block.conv.bias is None
    assert "1 of its sites" in sites.notes[0]


@pytest.mark.parametrize("activation", [lambda: nn.Activation("relu"), gluoncv().nn.block.ReLU6])
def test_a_norm_that_replaces_the_activation_removes_the_next_block(activation):
    net = stacked(nn.Conv2D(4, 3), nn.BatchNorm(), activation(), nn.Conv2D(4, 3), nn.BatchNorm(), nn.Flatten())
    block, _ = operated(net, IMAGE, "gate")
    assert [method.activation != "identity" for method in methods(block)] == [True, False]
    x = mx.nd.random.normal(shape=(2, 4, 3, 3))
    assert (block[2](x).asnumpy() == x.asnumpy()).all()


def test_a_norm_that_applies_the_activation_gets_its_name():
    block, _ = operated(stacked(nn.Dense(4), nn.BatchNorm(), nn.Activation("tanh")), (3,), "applying")
    assert methods(block)[0].activation == "tanh"
    x = mx.nd.ones((2, 3))
    np.testing.assert_allclose(predicted(block, x), np.tanh(block[0](x).asnumpy()), rtol=1e-5)


def test_a_norm_that_applies_the_activation_must_support_it():
    with pytest.raises(SpecError, match=r"activation leaky_relu of slope 0.3 after 1"):
        operated(stacked(nn.Dense(4), nn.BatchNorm(), nn.LeakyReLU(0.3)), (3,), "applying")


def called(F, self, x):
    return F.Activation(self.norm(x), act_type="relu")


def shared(_, self, x):
    return self.act(x + self.act(self.norm(x)))


def beside(F, self, x):
    y = self.norm(x)
    return F.relu(y) + y


def test_a_norm_that_applies_the_activation_supports_those_of_gluoncv():
    for block, name in [("ReLU6", "relu6"), ("HardSigmoid", "hard_sigmoid"), ("HardSwish", "hard_swish")]:
        gluon = getattr(gluoncv().nn.block, block)()
        net, _ = operated(stacked(nn.Dense(4), nn.BatchNorm(), gluon), (3,), "applying")
        assert methods(net)[0].activation == name
        x = mx.nd.array(np.linspace(-8, 8, 24).reshape(8, 3))
        np.testing.assert_allclose(predicted(make_activation(name), x), predicted(gluon, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("run", [called, shared, beside])
def test_an_activation_that_is_not_a_block_of_its_own_can_not_be_replaced(run):
    def net():
        return Around(run, norm=nn.BatchNorm(), act=nn.Activation("relu"))

    operated(net(), IMAGE, "batch")
    with pytest.raises(SpecError, match="norm gate takes over the activation; choose model resnet"):
        operated(net(), IMAGE, "gate")


def test_an_activation_shared_by_several_norms_is_replaced():
    net = Around(
        lambda _, self, x: self.act(self.one(x)) + self.act(self.two(x)),
        one=nn.BatchNorm(),
        two=nn.BatchNorm(),
        act=nn.Activation("relu"),
    )
    block, _ = operated(net, IMAGE, "gate")
    assert [method.activation for method in methods(block)] == ["relu", "relu"]
    assert type(block.act).__name__ == "HybridLambda"


def test_batch_norm_called_as_an_operator_is_refused():
    class Raw(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.mean = self.params.get("mean", shape=(3,), init="zeros", grad_req="null")
            self.var = self.params.get("var", shape=(3,), init="ones", grad_req="null")

        def hybrid_forward(self, F, x, mean, var):
            return F.BatchNorm(x, var, mean, mean, var)

    with pytest.raises(SpecError, match="block 0 calls the operator BatchNorm itself"):
        operated(stacked(Raw()), IMAGE, "batch")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda F, _, x: F.Dropout(x, p=0.3), "calls the operator Dropout itself, which would also drop in eval mode"),
        (lambda F, _, x: F.L2Normalization(x), "has a norm of its own, L2Normalization"),
    ],
)
def test_dropout_and_other_norms_called_as_operators_are_refused(run, words):
    with pytest.raises(SpecError, match=words):
        operated(stacked(nn.Conv2D(3, 1), Around(run)), IMAGE, "none")


def test_a_norm_that_never_runs_is_reported():
    net = Around(lambda _, self, x: self.used(x), used=nn.BatchNorm(), unused=nn.BatchNorm())
    sites = Sites(chosen("batch"))
    net.initialize()
    with pytest.raises(SpecError, match="1 BatchNorm remain"):
        operate(net, infer_shapes(net, IMAGE), sites, "test_net")


def test_global_average_pooling_is_replaced_if_it_is_used_once():
    net = Around(
        lambda F, self, x: F.concat(self.once(x), self.often(x), self.often(self.half(x)), dim=1),
        once=nn.GlobalAvgPool2D(),
        often=nn.GlobalAvgPool2D(),
        half=nn.MaxPool2D(2),
    )
    x = mx.nd.random.normal(shape=(2, *IMAGE))
    net.initialize()
    before = net(x).asnumpy()
    block, _ = operated(net, IMAGE, "none")
    assert isinstance(block.once, GlobalAverage)
    assert isinstance(block.often, nn.GlobalAvgPool2D)
    np.testing.assert_allclose(predicted(block, x), before, rtol=1e-5, atol=1e-6)


def test_a_bias_can_be_added_to_grouped_convolutions_and_dense_layers():
    for layer, shape in [(nn.Conv2D(6, 3, groups=3, use_bias=False), IMAGE), (nn.Dense(6, use_bias=False), (4,))]:
        layer.initialize()
        x = mx.nd.ones((2, *shape))
        before = layer(x).asnumpy()
        bias = add_bias(layer)
        bias.initialize()
        assert bias.shape == (6,)
        assert (layer(x).asnumpy() == before).all()
        bias.set_data(mx.nd.ones((6,)))
        np.testing.assert_allclose(layer(x).asnumpy(), before + 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", ["cifar_resnet20_v1", "cifar_resnet20_v2"])
def test_with_batch_norm_the_outputs_match_those_of_gluoncv(network):
    net = gluoncv().model_zoo.get_model(network, classes=4)
    net.initialize(mx.init.Xavier())
    x = mx.nd.random.normal(shape=(8, 3, 16, 16))
    with mx.autograd.train_mode():
        expected = net(x).asnumpy()
    weights = {name: p.data() for name, p in net._collect_params_with_prefix().items() if name.endswith("weight")}
    block, _ = operated(net, (3, 16, 16), "batch")
    for name, parameter in block._collect_params_with_prefix().items():
        if name in weights:
            parameter.set_data(weights.pop(name))
    assert not weights
    np.testing.assert_allclose(trained(block, x), expected, rtol=1e-3, atol=1e-4)
