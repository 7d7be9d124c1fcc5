"""The model `gluoncv`: the families that it knows, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from models_support import network

from normlab.backend.mxnet import gluoncv, mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv.families import FAMILIES, REFUSED, family_of, render_page

mx = mxnet()
IMAGE = (3, 32, 32)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar_resnet20_v3", "did you mean 'cifar_resnet20_v"),
        ("zebra", "docs/gluoncv.md lists the networks that can be used"),
        ("mobilenet1.0_int8", "fixed integers"),
        ("resnet50_v1d_0.37", "pruned"),
        ("resnet50_v1b_gn", "choose resnet50_v1b with `norm: group`"),
        ("nasnet_4_1056", "can't run it on a CPU"),
        ("ssd_512_resnet50_v1_voc", "detects objects"),
        ("fcn_resnet50_voc", "segments images"),
        ("i3d_resnet50_v1_ucf101", "classifies videos"),
    ],
)
def test_unusable_networks_are_refused_with_the_reason(name, words):
    with pytest.raises(SpecError, match=words):
        network("gluoncv", "batch", IMAGE, network=name)


def test_every_network_of_the_model_zoo_is_supported_or_refused():
    names = gluoncv().model_zoo.get_model_list()
    supported = [name for family in FAMILIES for name in family.networks]
    assert len(supported) == len(set(supported))
    assert set(supported) <= set(names)
    refused = {name for name in names if any(re.fullmatch(pattern, name) for pattern in REFUSED)}
    assert refused == set(names) - set(supported)


def test_the_family_of_each_member_is_found():
    assert all(family_of(name) is family for family in FAMILIES for name in family.networks)


def test_norms_that_replace_the_sum_of_branch_and_shortcut_are_refused():
    with pytest.raises(SpecError, match="add the two themselves; choose model resnet"):
        network("gluoncv", "scaling", IMAGE, network="cifar_resnet20_v1")


@pytest.mark.parametrize("norm", ["gate", "applying"])
def test_norms_that_take_over_the_activation_are_refused_if_it_is_not_a_block(norm):
    with pytest.raises(SpecError, match=f"calls its activations itself, and norm {norm}"):
        network("gluoncv", norm, IMAGE, network="cifar_resnet20_v2")


def test_a_network_without_norms_only_hosts_norms_on_weights():
    with pytest.raises(SpecError, match="vgg11 has no norms that norm batch could replace"):
        network("gluoncv", "batch", IMAGE, network="vgg11")
    net = network("gluoncv", ["none", "doubling"], (3, 224, 224), network="squeezenet1.1")
    assert len(net.hosts) == 26


def test_unsuitable_images_are_refused_with_a_size_that_works(capfd):
    with pytest.raises(SpecError, match="doesn't accept images of 3 channels and 32x32 pixels") as refused:
        network("gluoncv", "batch", IMAGE, network="densenet121")
    assert "tested with 3 channels and 224x224 pixels" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(SpecError, match="doesn't accept images of 1 channels"):
        network("gluoncv", "batch", (1, 32, 32), network="dla34")
    with pytest.raises(SpecError, match="expected an image"):
        network("gluoncv", "batch", (64,), network="cifar_resnet20_v1")
    assert capfd.readouterr().out == ""


def test_the_initializer_of_the_spec_applies_where_the_network_has_none():
    net = network("gluoncv", "batch", IMAGE, network="cifar_resnet20_v1")
    weight = net.parameters["features.4.2.body.0.weight"].data().asnumpy()
    assert weight.std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.03)
    other = network("gluoncv", "batch", IMAGE, network="cifar_resnet20_v1", weight_initializer="ones")
    assert (other.parameters["features.4.2.body.0.weight"].data().asnumpy() == 1).all()


def test_networks_with_dropout_draw_random_numbers():
    assert network("gluoncv", "none", IMAGE, network="mobilenetv3_small").draws
    assert not network("gluoncv", "none", IMAGE, network="cifar_resnet20_v1").draws


def test_pretrained_weights_are_never_requested(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(gluoncv().model_zoo.model_store, "get_model_file", refuse)
    network("gluoncv", "batch", IMAGE, network="mobilenet0.25")


def test_the_documentation_page_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "gluoncv.md"
    assert page.read_text(encoding="utf-8") == render_page(), (
        "docs/gluoncv.md is not up to date with normlab.models.gluoncv.families; write it again with "
        "normlab.models.gluoncv.families.render_page()"
    )
