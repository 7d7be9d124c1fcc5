from __future__ import annotations

import numpy as np
import pytest
from models_support import mx, network, small

from normlab.models.audit import audit
from normlab.models.layers import nn
from normlab.models.tree import sequence

SHAPE = (1, 8, 8)


def mlp(norm):
    return audit(small("mlp", norm), SHAPE)


def test_counts_of_an_mlp_match_a_calculation_by_hand():
    # 64 -> 16 -> 12 -> 4, with norms after both hidden layers
    weights, biases = 64 * 16 + 16 * 12 + 12 * 4, 16 + 12 + 4
    none = mlp("none")
    assert none["parameters"] == weights + biases
    assert none["biases"] == biases
    assert none["state"] == 0
    assert none["operations"] == 2 * weights + biases


def test_a_norm_adds_parameters_and_state_and_makes_biases_redundant():
    none, batch = mlp("none"), mlp("batch")
    redundant = none["biases"] - batch["biases"]
    channels = batch["state"] // 2
    assert channels > 0
    assert batch["parameters"] == none["parameters"] - redundant + 2 * channels
    assert none["optional_biases"] == redundant
    assert batch["optional_biases"] == 0


def test_optional_biases_are_among_the_biases():
    counted = audit(small("lenet", "none"), (1, 16, 16))
    assert 0 < counted["optional_biases"] < counted["biases"] < counted["parameters"]


@pytest.mark.parametrize("label", ["lenet", "vgg", "resnet_a", "gluoncv_v1", "gluoncv_v2"])
def test_operations_depend_on_the_norm_only_by_biases(label):
    shape = (1, 16, 16) if label == "lenet" else (3, 8, 8)
    found = {norm: audit(small(label, norm), shape) for norm in ("none", "batch", "doubling")}
    assert found["doubling"] == found["none"]
    less = found["none"]["operations"] - found["batch"]["operations"]
    assert 0 <= less < 0.1 * found["none"]["operations"]
    assert (less > 0) == (found["none"]["optional_biases"] > 0)


@pytest.mark.parametrize(
    ("layer", "shape", "operations"),
    [
        (lambda: nn.Conv2D(6, 3, padding=1), (2, 5, 7), (2 * 2 * 9 + 1) * 6 * 35),
        (lambda: nn.Conv2D(6, 3, groups=2, use_bias=False), (4, 5, 5), 2 * 2 * 9 * 6 * 9),
        (lambda: nn.Conv2DTranspose(3, 2, strides=2, use_bias=False), (4, 5, 5), 2 * 4 * 25 * 3 * 4),
        (lambda: nn.Dense(7), (3, 4), (2 * 12 + 1) * 7),
        (lambda: nn.Dense(7, flatten=False, use_bias=False), (3, 4), 3 * 2 * 4 * 7),
    ],
    ids=["conv", "grouped", "transposed", "dense", "dense at each position"],
)
def test_operations_of_each_kind_of_layer(layer, shape, operations):
    net = small("mlp", "none")
    net.block = sequence([("layer", layer())])
    net.block.initialize()
    assert audit(net, shape)["operations"] == operations


def test_a_layer_that_runs_twice_is_counted_twice():
    net = small("mlp", "none")
    shared = nn.Dense(4, in_units=4, use_bias=False)
    net.block = nn.HybridSequential()
    net.block.register_child(shared, "first")
    net.block.register_child(shared, "second")
    net.block.initialize()
    assert audit(net, (4,))["operations"] == 2 * 2 * 4 * 4


@pytest.mark.parametrize("norm", ["batch", "doubling"])
def test_audit_changes_neither_network_nor_random_state(norm):
    net = small("resnet_a", norm)
    before = net.digest()
    x = mx.nd.array(np.ones((2, 3, 8, 8)))
    mx.random.seed(3)
    mx.nd.random.uniform(shape=(1,))
    expected = mx.nd.random.uniform(shape=(4,)).asnumpy()
    mx.random.seed(3)
    mx.nd.random.uniform(shape=(1,))
    first = audit(net, (3, 8, 8))
    assert np.array_equal(mx.nd.random.uniform(shape=(4,)).asnumpy(), expected)
    assert net.digest() == before
    assert audit(net, (3, 8, 8)) == first
    assert net.block(x).shape == (2, 4)


def test_audit_removes_its_hooks():
    net = network("mlp", "none", SHAPE, hidden=[16, 12])
    audit(net, SHAPE)
    assert not any(child._forward_hooks for child in net.block._children.values())
