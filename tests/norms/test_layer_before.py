"""What a site learns of the layer right before it, and which sites have none."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from models_support import NORMS, SMALL, Weighing, chosen, operated, small

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.errors import PluginError, SpecError
from normlab.models.sites import Sites
from normlab.models.tree import walk
from normlab.norms.blocks import NormBlock
from normlab.norms.layer_before import LayerBefore

mx = mxnet()
nn = mx.gluon.nn

LAYERS = {
    "grouped": (partial(nn.Conv2D, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2), (3, 4, 7, 6)),
    "depthwise": (partial(nn.Conv2D, 6, 3, groups=6), (3, 6, 5, 6)),
    "dense": (partial(nn.Dense, 6), (5, 2, 3)),
    "dense for each time step": (partial(nn.Dense, 6, flatten=False), (5, 3, 4)),
}


def sites(*names):
    return Sites(chosen(*names))


@pytest.mark.parametrize("name", LAYERS)
def test_means_of_patches_are_the_derivatives_by_the_weights(name):
    make, shape = LAYERS[name]
    layer = make()
    layer.initialize()
    layer.cast("float64")
    before = LayerBefore(layer)
    x = mx.nd.random.normal(shape=shape, dtype="float64")
    with mx.autograd.record():
        outputs = layer(x)
        outputs = mx.nd.swapaxes(outputs, 1, 2) if name.endswith("step") else outputs
        values = mx.nd.random.normal(shape=outputs.shape, dtype="float64")
        mean = (outputs * values).reshape((0, 0, -1)).mean(axis=(0, 2)).sum()
    mean.backward()
    taken, weight = before.now(x)
    assert np.array_equal(weight.asnumpy(), layer.weight.data().asnumpy())
    expected = layer.weight.grad().asnumpy().reshape(6, -1)
    assert before.unit_size == expected.shape[1]

    def both(F, taken, values):
        return before.mean_product(F, values, taken), before.mean_patch(F, taken)

    for hybridize in (True, False):
        product, patch = Graph(both, [], training=True, hybridize=hybridize)(taken, values)
        np.testing.assert_allclose(product.asnumpy(), expected, rtol=0, atol=1e-14)
        alone = before.mean_product(mx.nd, mx.nd.ones_like(values), taken).asnumpy()
        np.testing.assert_allclose(patch.asnumpy().repeat(6 // before.groups, axis=0), alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("label", [label for label in SMALL if label != "gluoncv_v2"])
def test_networks_tell_their_sites_of_the_layers_before_and_keep_their_names(label):
    net, plain = small(label, "weighing"), small(label, "none")
    hosts = [host for host in net.hosts if isinstance(host, NormBlock)]
    assert hosts
    weights = {id(parameter): name for name, parameter in net.parameters.items() if name.endswith("weight")}
    seen = {weights[id(host.method.before._layer.weight)] for host in hosts}
    assert len(seen) == len(hosts)
    mine = {name for name in net.parameters if name.endswith(".last")}
    assert net.parameters.keys() - mine == plain.parameters.keys()
    # the first pass, of zeros, found the shapes
    assert all(host.last.shape[1] == host.method.before.unit_size for host in hosts)


def test_other_norms_look_at_no_layer():
    for name in ("none", "batch"):
        net = small("resnet_b", name)
        assert all(host.method.before is None for host in net.hosts)
        assert not any(block._forward_pre_hooks for block in walk(net.block))


@pytest.mark.parametrize("hybridize", [True, False])
def test_a_site_gets_what_the_layer_takes_in_this_pass(hybridize):
    layer = nn.Dense(3, in_units=2, use_bias=False)
    norm = NormBlock(Weighing(in_channels=3, layout="NC"), layer)
    for block in (layer, norm):
        block.initialize()
    parameters = [*layer.collect_params().values(), *norm.collect_params().values()]
    graph = Graph(lambda _, x: norm(layer(x)), parameters, training=True, hybridize=hybridize)
    layer.weight.set_data(mx.nd.array([[1, 2], [3, 4], [5, 6]]))
    for value in (2.0, 7.0):
        (y,) = graph(mx.nd.full((4, 2), value))
        assert (y.asnumpy() == value * 3.5 * np.array([3, 7, 11])).all()
        assert (norm.last.data().asnumpy() == value).all()


def test_a_site_whose_layer_did_not_run_says_so():
    layer = nn.Dense(3, in_units=2)
    norm = NormBlock(Weighing(in_channels=3, layout="NC"), layer)
    norm.initialize()
    with pytest.raises(PluginError, match="runs without that layer"):
        norm(mx.nd.ones((4, 3)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: sites("weighing").norm(3, "NC"),
        lambda: sites("weighing").norm(3, "NC", activation_first=True, layer_before=nn.Dense(3)),
        lambda: small("gluoncv_v2", "weighing"),
    ],
    ids=["none", "activation", "norm first"],
)
def test_a_site_without_a_layer_right_before_it_is_refused_by_name(make):
    with pytest.raises(SpecError, match="norm weighing uses the weight of the layer before each site, and the input"):
        make()


def test_only_the_first_of_several_norms_is_right_after_the_layer():
    assert sites("weighing", "batch").norm(3, "NC", layer_before=nn.Dense(3))
    with pytest.raises(SpecError, match="norm weighing uses the weight"):
        sites("batch", "weighing").norm(3, "NC", layer_before=nn.Dense(3))


def test_a_method_on_weights_beside_it_is_refused():
    with pytest.raises(SpecError, match="norm doubling replaces that weight; choose one of them"):
        sites("weighing", "doubling").norm(3, "NC", layer_before=nn.Dense(3))


@pytest.mark.parametrize("layer", [nn.Conv2DTranspose(3, 3), nn.Dense(3, activation="relu")])
def test_a_layer_that_is_no_sum_of_patches_is_refused(layer):
    with pytest.raises(SpecError, match="before a site is no layer whose weight a norm can look at"):
        NormBlock(Weighing(), layer)


def test_a_block_of_anybodys_network_wants_the_layer_too():
    registered = NORMS["weighing"]
    with pytest.raises(SpecError, match="Weighing looks at the weight of the layer right before its site"):
        registered.block(layout="NC")
    assert registered.block(layout="NC", layer_before=nn.Dense(3)).method.before.groups == 1


def test_a_norm_that_is_used_after_several_layers_has_no_one_layer_before():
    class Shared(nn.HybridBlock):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.norm = nn.Conv2D(4, 1), nn.Conv2D(4, 1), nn.BatchNorm()

        def hybrid_forward(self, F, x):
            return self.norm(self.first(x)) + self.norm(self.second(x))

    with pytest.raises(SpecError, match="norm weighing uses"):
        operated(Shared(), (3, 5, 5), "weighing")
