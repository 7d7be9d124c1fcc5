"""LeNet and VGG have the shapes of the papers."""

from __future__ import annotations

import numpy as np
import pytest
from models_support import images, network, predicted

from normlab.backend.mxnet import mxnet

mx = mxnet()


def weights(net):
    """Return the shapes of the weights by structural name, those of the outputs last."""
    names = [name for name in net.parameters if name.endswith("weight")]
    return {
        name: net.parameters[name].shape for name in sorted(names, key=lambda name: (name.startswith("output"), name))
    }


def test_lenet_has_the_layers_of_the_paper():
    net = network("lenet", "none", (1, 28, 28), classes=10)
    assert list(weights(net).values()) == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]
    # the well-known number with all connections of the second convolution
    assert sum(p.data().size for p in net.parameters.values()) == 61706


def test_lenet_accepts_color_and_other_sizes():
    net = network("lenet", "batch", (3, 32, 24), classes=10)
    assert weights(net)["dense2.weight"] == (120, 16 * 6 * 4)
    assert predicted(net.block, mx.nd.ones((2, 3, 32, 24))).shape == (2, 10)


@pytest.mark.parametrize(("pooling", "reduce"), [("average", np.mean), ("max", np.max)])
def test_lenet_pools_by_average_or_maximum(pooling, reduce):
    net = network("lenet", "none", (1, 16, 16), pooling=pooling)
    x, _ = images((1, 16, 16))
    four = x.asnumpy().reshape(8, 1, 8, 2, 8, 2)
    expected = reduce(four, axis=(3, 5))
    np.testing.assert_allclose(net.block._children["pool0"](x).asnumpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("depth", "convolutions"), [(8, 5), (11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_has_the_convolutions_of_its_depth(depth, convolutions):
    net = network("vgg", "none", (3, 32, 32), depth=depth, width=2)
    shapes = list(weights(net).values())
    assert len(shapes) == convolutions + 1
    assert [shape[0] for shape in shapes[:-1]] == sorted(shape[0] for shape in shapes[:-1])
    assert shapes[-1] == (4, 16)
    assert shapes[0] == (2, 3, 3, 3)


def test_vgg_of_default_width_has_the_convolutions_of_the_paper():
    net = network("vgg", "batch", (3, 32, 32), classes=10, depth=11)
    channels = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    expected = [(after, before, 3, 3) for before, after in zip(channels, channels[1:])]
    assert list(weights(net).values()) == [*expected, (10, 512)]


@pytest.mark.parametrize(("side", "pools", "left"), [(32, 5, 1), (64, 5, 4), (28, 4, 1), (8, 3, 1), (1, 0, 1)])
def test_vgg_halves_images_as_long_as_possible(side, pools, left):
    net = network("vgg", "none", (1, side, side), width=1)
    stages = [net.block._children[f"stage{stage}"] for stage in range(5)]
    assert sum("pool" in stage._children for stage in stages) == pools
    assert net.block._children["average"].positions == left
    assert predicted(net.block, mx.nd.ones((2, 1, side, side))).shape == (2, 4)


def test_vgg_is_initialized_by_he_and_lenet_by_xavier():
    vgg = network("vgg", "none", (3, 32, 32), width=64)
    weight = vgg.parameters["stage4.conv0.weight"].data().asnumpy()
    assert weight.std() == pytest.approx(np.sqrt(2 / (512 * 9)), rel=0.02)
    lenet = network("lenet", "none", (1, 28, 28))
    weight = lenet.parameters["dense2.weight"].data().asnumpy()
    assert np.abs(weight).max() == pytest.approx(np.sqrt(6 / (400 + 120)), rel=0.02)
