"""The residual network against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from models_support import images, network, predicted

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.layers import Subsampling
from normlab.norms.blocks import ResidualBlock

mx = mxnet()
SHAPE = (3, 8, 8)


def count(depth, *, projects, inputs=3, classes=4, per_channel=4):
    """Count parameters and states by the paper's table, with this many values per channel at each site."""
    blocks = (depth - 2) // 6
    shapes = [(16, inputs, 3, 3)]
    before = 16
    for channels in (16, 32, 64):
        for _ in range(blocks):
            shapes += [(channels, before, 3, 3), (channels, channels, 3, 3)]
            if before != channels and projects:
                shapes.append((channels, before, 1, 1))
            before = channels
    convolutions = sum(np.prod(shape) + per_channel * shape[0] for shape in shapes)
    return int(convolutions + 64 * classes + classes)


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("depth", [8, 20])
def test_the_number_of_parameters_is_that_of_the_paper(depth, shortcut):
    net = network("resnet", "batch", SHAPE, depth=depth, shortcut=shortcut)
    assert sum(p.data().size for p in net.parameters.values()) == count(depth, projects=shortcut == "B")
    without = network("resnet", "none", SHAPE, depth=depth, shortcut=shortcut)
    expected = count(depth, projects=shortcut == "B", per_channel=1)
    assert sum(p.data().size for p in without.parameters.values()) == expected


@pytest.mark.parametrize(("depth", "thousands"), [(20, 270), (32, 460), (44, 660), (56, 850), (110, 1730)])
def test_depths_have_the_sizes_of_table_6_of_the_paper(depth, thousands):
    # for ten classes, with gamma and beta, to the paper's two digits
    assert count(depth, projects=False, classes=10, per_channel=2) / 1000 == pytest.approx(thousands, rel=0.02)


def convolved(x, weight, bias, stride):
    margin = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)


def by_hand(values, x, *, projects):
    """Compute a ResNet-8 without norms by its equations."""

    def conv(name, x, stride=1):
        return convolved(x, values[f"{name}.weight"], values[f"{name}.bias"], stride)

    def relu(x):
        return np.maximum(x, 0)

    x = relu(conv("conv", x))
    for stage in range(3):
        name, stride = f"stage{stage}.block0", 1 if stage == 0 else 2
        branch = conv(f"{name}.branch.conv1", relu(conv(f"{name}.branch.conv0", x, stride)))
        shortcut = x
        if stage > 0 and projects:
            shortcut = conv(f"{name}.shortcut.conv", x, 2)
        elif stage > 0:
            kept = x[:, :, ::2, ::2]
            shortcut = np.concatenate([kept, np.zeros_like(kept)], axis=1)
        x = relu(branch + shortcut)
    return x.mean(axis=(2, 3)) @ values["output.weight"].T + values["output.bias"]


@pytest.mark.parametrize("shape", [SHAPE, (1, 7, 10)])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_the_forward_pass_matches_the_equations(shortcut, shape):
    net = network("resnet", "none", shape, depth=8, shortcut=shortcut)
    generator = np.random.Generator(np.random.PCG64(1))
    for name in net.optional_biases:
        bias = net.parameters[name]
        bias.set_data(mx.nd.array(generator.normal(size=bias.shape)))
    values = {name: p.data().asnumpy().astype("float64") for name, p in net.parameters.items()}
    x, _ = images(shape)
    expected = by_hand(values, x.asnumpy().astype("float64"), projects=shortcut == "B")
    np.testing.assert_allclose(predicted(net.block, x), expected, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_option_a_is_1_at_the_kept_pixels():
    x = mx.nd.random.normal(shape=(2, 3, 5, 4))
    x.attach_grad()
    block = Subsampling()
    with mx.autograd.record():
        y = block(x)
    y.backward(mx.nd.ones(y.shape))
    expected = np.zeros(x.shape)
    expected[:, :, ::2, ::2] = 1
    assert y.shape == (2, 6, 3, 2)
    assert (x.grad.asnumpy() == expected).all()


def test_zero_gamma_makes_every_block_start_as_its_shortcut():
    net = network("resnet", "batch", SHAPE, depth=8, zero_gamma=True)
    zero = [name for name, p in net.parameters.items() if name.endswith("gamma") and not p.data().asnumpy().any()]
    assert zero == [f"stage{stage}.block0.branch.site1.norm.gamma" for stage in range(3)]
    assert not net.notes


def test_zero_gamma_is_noted_if_the_norm_has_no_gamma():
    (note,) = network("resnet", "none", SHAPE, depth=8, zero_gamma=True).notes
    assert "norm none has no gamma" in note


def test_residual_methods_get_channels_index_and_number_of_blocks():
    net = network("resnet", "scaling", SHAPE, depth=20)
    hosts = [host for host in net.hosts if isinstance(host, ResidualBlock)]
    assert [(host.method.in_channels, host.method.index, host.method.blocks) for host in hosts] == [
        (channels, index, 9) for index, channels in enumerate([16] * 3 + [32] * 3 + [64] * 3)
    ]
    assert "stage2.block1.join.alpha" in net.parameters


def test_a_residual_method_replaces_the_sum():
    net = network("resnet", "scaling", SHAPE, depth=8)
    x, _ = images(SHAPE)
    values = {name: p.data().asnumpy().astype("float64") for name, p in net.parameters.items()}
    # alpha starts from 0, so a block is only its shortcut
    for stage in range(3):
        values[f"stage{stage}.block0.branch.conv1.weight"] *= 0
    np.testing.assert_allclose(
        predicted(net.block, x), by_hand(values, x.asnumpy(), projects=False), rtol=1e-4, atol=1e-5
    )


def test_two_residual_methods_are_refused():
    with pytest.raises(SpecError, match="both replace the sum of a branch and its shortcut"):
        network("resnet", ["scaling", "scaling"], SHAPE, depth=8)


def test_a_norm_that_replaces_the_activation_is_told_where_there_is_none():
    net = network("resnet", "gate", SHAPE, depth=8)
    activations = {host.method.activation for host in net.hosts}
    assert activations == {"relu", "identity"}
    # the activation after the sum belongs to no site
    assert type(net.block._children["stage0"]._children["block0"].activation).__name__ == "Activation"
