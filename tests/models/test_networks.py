"""Properties of all networks: they train in graphs and imperatively, and initial weights don't depend on the norm."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from cli_tools import environment
from models_support import CLASSES, NORMS, SMALL, images, losses, network, plugin, predicted, small

from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.catalog.signature import describe
from normlab.errors import SpecError
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer

mx = mxnet()
MODELS = ("mlp", "lenet", "vgg", "resnet", "gluoncv")


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("label", SMALL)
def test_the_loss_falls_equally_in_graphs_and_imperatively(label, norm):
    shape = SMALL[label][1]
    rate = 0.02 if norm == "batch" else 0.002
    by_graph = losses(small(label, norm), shape, 3, learning_rate=rate)
    imperatively = losses(small(label, norm), shape, 3, learning_rate=rate, hybridize=False)
    np.testing.assert_allclose(by_graph, imperatively, rtol=2e-3)
    assert by_graph[-1] < by_graph[0]


@pytest.mark.parametrize("label", SMALL)
def test_inference_is_the_same_in_graphs_and_imperatively(label):
    net = small(label, "batch")
    x, _ = images(SMALL[label][1])
    by_graph, imperatively = (predicted(net.block, x, hybridize=hybridize) for hybridize in (True, False))
    assert by_graph.shape == (8, CLASSES)
    np.testing.assert_allclose(by_graph, imperatively, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("label", SMALL)
def test_initial_weights_do_not_depend_on_the_norm(label):
    nets = {norm: small(label, norm) for norm in ("batch", "none", "plain")}
    assert len({net.initialization_digest for net in nets.values()}) == 1
    names = set(nets["none"].parameters) - set(nets["none"].optional_biases)
    for net in nets.values():
        # names of convolutions and dense layers do not depend on the norm
        assert names <= set(net.parameters)
        for name in names:
            first = nets["none"].parameters[name].data().asnumpy()
            assert (net.parameters[name].data().asnumpy() == first).all()


@pytest.mark.parametrize("label", SMALL)
def test_the_digest_depends_on_the_initial_weights(label):
    assert small(label, "none", weight_initializer={"name": "normal", "sigma": 0.2}).initialization_digest != (
        small(label, "none").initialization_digest
    )


@pytest.mark.parametrize("label", ["lenet", "vgg", "resnet_a", "resnet_b", "gluoncv_v1"])
def test_without_a_shift_every_layer_before_a_site_has_a_bias_of_zeros(label):
    without, with_batch = small(label, "none"), small(label, "batch")
    sites = [name for name in with_batch.parameters if name.endswith(".beta")]
    assert len(without.optional_biases) == len(sites) > 0
    assert not with_batch.optional_biases
    assert all(not without.parameters[name].data().asnumpy().any() for name in without.optional_biases)
    assert not without.notes


def test_norms_on_weights_apply_to_every_layer_and_keep_its_name():
    plain, doubled = small("resnet_a", "none"), small("resnet_a", ["none", "doubling"])
    assert list(plain.parameters) == list(doubled.parameters)
    assert sum(type(host.method).__name__ == "Doubling" for host in doubled.hosts) == 8
    x, _ = images((3, 8, 8))
    # without norms and with biases of 0, a factor of 2 in each layer scales the outputs of the mlp, not of the resnet
    assert np.abs(predicted(doubled.block, x) - predicted(plain.block, x)).max() > 0.1
    small_mlp = [small("mlp", norms) for norms in ("none", ["none", "doubling"])]
    x, _ = images((1, 8, 8))
    np.testing.assert_allclose(predicted(small_mlp[1].block, x), 8 * predicted(small_mlp[0].block, x), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 28, 28), (3, 5, 9)])
@pytest.mark.parametrize("name", ["vgg", "resnet", "gluoncv"])
def test_small_images_with_any_number_of_channels_are_accepted(name, shape):
    parameters = {"vgg": {"width": 2}, "resnet": {"depth": 8}, "gluoncv": {"network": "cifar_resnet20_v1"}}[name]
    net = network(name, "none", shape, **parameters)
    assert predicted(net.block, mx.nd.ones((2, *shape))).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("lenet", (1, 8, 8), "at least 12x12"),
        ("lenet", (1, 12, 11), "12x11 pixels are too small"),
        ("lenet", (64,), "expected an image"),
        ("vgg", (64,), "choose model mlp"),
        ("resnet", (64,), r"shape \(64,\)"),
    ],
)
def test_unsuitable_shapes_are_refused_with_advice(name, shape, words):
    with pytest.raises(SpecError, match=words) as refused:
        network(name, "none", shape)
    assert name in str(refused.value)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_norm_sites_can_be_chosen_and_must_exist(name):
    shape = (1, 16, 16)
    net = network(name, "batch", shape, norm_sites=[1])
    assert [parameter for parameter in net.parameters if parameter.endswith("gamma")] == ["site1.norm.gamma"]
    with pytest.raises(SpecError, match="norm_sites: there is no hidden layer 7"):
        network(name, "batch", shape, norm_sites=[0, 7])


@pytest.mark.parametrize("name", ["mlp", "lenet", "vgg", "resnet"])
def test_an_unknown_activation_is_refused_with_a_suggestion(name):
    with pytest.raises(SpecError, match="did you mean 'relu'"):
        network(name, "none", (1, 16, 16), activation="rellu")


def test_a_norm_that_replaces_the_activation_is_not_followed_by_one():
    kinds = [type(child).__name__ for child in small("vgg", "gate").block._children["stage0"]._children["site0"]]
    assert kinds == ["NormBlock"]


@pytest.mark.parametrize("label", ["mlp", "lenet", "vgg"])
def test_networks_without_shortcuts_refuse_norms_on_residual_blocks(label):
    with pytest.raises(SpecError, match="choose model resnet"):
        small(label, "scaling")


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_described(name):
    model = plugin(name)
    assert model.name == name
    assert model.summary
    assert all(parameter.description for parameter in describe(model.factories))


def test_networks_are_built_in_training_mode_so_that_no_weight_is_reordered_in_place(monkeypatch):
    modes = []

    class Recording(NormLayer):
        def hybrid_forward(self, F, x):
            modes.append(mx.autograd.is_training())
            return F.identity(x)

    monkeypatch.setitem(NORMS, "recording", Norm("recording", layer=Recording))
    network("mlp", "recording", (1, 8, 8), hidden=[4])
    assert modes == [True]


def test_models_are_imported_without_mxnet():
    modules = ", ".join(f"normlab.models.{name}" for name in MODELS)
    program = f"import sys, {modules}; print('mxnet' in sys.modules, 'gluoncv' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_the_first_non_finite_parameter_is_found():
    net = network("vgg", "batch", (1, 8, 8), depth=19, width=1)
    assert net.first_not_finite() is None
    for name in ("stage4.site3.norm.running_var", "stage0.conv0.weight"):
        net.parameters[name].data()[:] = np.nan
        assert net.first_not_finite() == name


def test_a_non_finite_parameter_is_found_among_hundreds():
    net = network("gluoncv", "batch", (3, 32, 32), network="mobilenetv2_0.25")
    assert len(net.parameters) > 200
    assert net.first_not_finite() is None
    last = list(net.parameters)[-1]
    net.parameters[last].data()[:] = np.inf
    assert net.first_not_finite() == last


def test_every_network_is_in_the_catalog():
    assert set(MODELS) <= set(catalog(third_party=False).models.entries)
