"""Norms that group channels and examples, or give channels to one of two methods: their ends, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, inputs, mx, norm, per_channel

from normlab.backend.graph import Graph
from normlab.errors import SpecError

GROUP_GHOST = "statistics/group_ghost.py"
BATCH_GROUP = "statistics/batch_group.py"
BATCH_CHANNEL = "composite/batch_channel.py"
IBN = "composite/ibn.py"
EPSILON = 1e-5


def same(file, others_file, options, others_options, layout="NCHW", count=4):
    """Whether two norms give the same output and gradients in training."""
    values = affine_values()
    x, dy = inputs(layout, shape=(count, *inputs(layout)[0].shape[1:]))
    one = Host(file, layout, values, **options)(x, dy)
    other = Host(others_file, layout, values, **others_options)(x, dy)
    close(one.y, other.y)
    close(one.dx, other.dx)
    for name, gradient in one.gradients.items():
        close(gradient, other.gradients[name])


@pytest.mark.parametrize(
    ("options", "file", "others"),
    [
        ({"examples": 1, "groups": 4}, "statistics/group.py", {"groups": 4}),
        ({"examples": 1, "group_size": 4}, "statistics/group.py", {"groups": 2}),
        ({"examples": 2, "groups": 8}, "statistics/ghost_batch.py", {"size": 2}),
        ({"examples": 2}, "statistics/ghost_batch.py", {"size": 2}),
        ({"examples": 100, "groups": 8}, "../normlab/norms/batch.py", {}),
    ],
)
def test_at_its_ends_it_is_group_norm_ghost_batch_norm_and_batch_norm(options, file, others):
    same(GROUP_GHOST, file, options, others)


def test_a_last_group_of_fewer_examples_is_standardized_on_its_own():
    x, _ = inputs("", shape=(7, 8, 3, 2))
    host = Host(GROUP_GHOST, examples=3, groups=2)
    close(host(x).y[6], Host(GROUP_GHOST, examples=1, groups=2)(x[6:]).y[0])


def test_in_prediction_the_examples_own_moments_have_their_share():
    x, dy = inputs("NCHW")
    random = np.random.default_rng(1)
    mean = random.normal(size=8)
    states = {"running_mean": mean, "running_square": mean**2 + random.uniform(1, 2, 8)}

    def predicted(weight):
        return Host(GROUP_GHOST, values=states, groups=2, example_weight=weight)(x, dy, training=False)

    close(predicted(1.0).y, Host("statistics/group.py", groups=2)(x).y)
    groups = [value.reshape(2, 4).mean(1).repeat(4) for value in states.values()]
    running = per_channel(groups[0], x), per_channel(groups[1] - groups[0] ** 2, x)
    close(predicted(0.0).y, (x - running[0]) / np.sqrt(running[1] + EPSILON))
    close(predicted(1e-12).y, predicted(0.0).y)
    close(predicted(1e-12).dx, predicted(0.0).dx)
    assert np.abs(predicted(0.3).y - predicted(0.0).y).max() > 0.1


@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
def test_as_many_groups_as_channels_is_batch_norm(layout):
    same(BATCH_GROUP, "../normlab/norms/batch.py", {"groups": 8}, {}, layout)


def test_groups_of_features_may_hold_parts_of_maps():
    x, _ = inputs("NCHW")  # 8 channels of 6 positions
    rows = x.reshape(4, 16, 3)
    mean, variance = rows.mean((0, 2), keepdims=True), rows.var((0, 2), keepdims=True)
    host = Host(BATCH_GROUP, groups=16, across_maps=True)
    close(host(x).y, ((rows - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape))
    assert host.value("running_mean").shape == (16,)


@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
def test_batch_norm_then_group_norm(layout):
    values = {**affine_values(), "gamma_batch": affine_values()["gamma"], "beta_batch": affine_values()["beta"]}
    values.update(gamma=[2.0, 0.5], beta=[1.0, -1.0])
    x, _ = inputs(layout)
    inner = Host("../normlab/norms/batch.py", layout, affine_values())(x).y
    outer = Host("statistics/group.py", layout, {"gamma": [2] * 4 + [0.5] * 4, "beta": [1] * 4 + [-1] * 4}, groups=2)
    close(Host(BATCH_CHANNEL, layout, values, groups=2)(x).y, outer(inner).y)


def test_what_a_network_says_of_gamma_holds_for_the_last_one():
    host = Host(BATCH_CHANNEL, groups=2, site={"gamma_initializer": "zeros"})
    assert (host.value("gamma") == 0).all()
    assert (host.value("gamma_batch") == 1).all()
    x, dy = inputs("NCHW")
    done = host(x, dy)
    assert (done.y == 0).all()
    assert np.abs(done.gradients["gamma"]).max() < 100


@pytest.mark.parametrize(("ratio", "first"), [(0.5, 4), (0.3, 2), (0.99, 7)])
def test_the_first_channels_are_normalized_by_instance_the_others_by_batch(ratio, first):
    x, _ = inputs("NCHW")
    host = Host(IBN, ratio=ratio)
    y = host(x).y
    close(y[:, :first], Host("statistics/instance.py", channels=first)(x[:, :first]).y)
    close(y[:, first:], Host("../normlab/norms/batch.py", channels=8 - first)(x[:, first:]).y)
    assert host.value("running_var").shape == (8 - first,)


@pytest.mark.parametrize("channels", [8, 16, 24])
@pytest.mark.parametrize(
    ("file", "options"),
    [(IBN, {}), (BATCH_CHANNEL, {"groups": 2}), (BATCH_GROUP, {"groups": 4}), (GROUP_GHOST, {"groups": 4})],
)
def test_between_convolutions_a_graph_gives_what_single_operators_give(file, options, channels):
    nn = mx.gluon.nn
    block = nn.HybridSequential()
    before, after = (nn.Conv2D(channels, 3, padding=1, in_channels=channels, use_bias=False) for _ in range(2))
    block.add(before, norm(file).block(**options, in_channels=channels), nn.Activation("relu"), after)
    mx.random.seed(2)
    block.initialize(mx.init.Normal(0.1))
    parameters = list(block.collect_params().values())
    x = mx.nd.random.normal(shape=(8, channels, 9, 9))
    x.attach_grad()
    found = []
    for hybridize in (False, True):
        graph = Graph(lambda _, x: block(x), parameters, training=True, hybridize=hybridize, freeze_state=True)
        with mx.autograd.record():
            (y,) = graph(x)
        y.backward()
        found.append([y.asnumpy(), x.grad.asnumpy(), before.weight.grad().asnumpy(), after.weight.grad().asnumpy()])
    for one, other in zip(*found):
        close(one, other, 1e-4)


@pytest.mark.parametrize(
    ("file", "layout", "options", "message"),
    [
        (GROUP_GHOST, "NCHW", {"groups": 3}, "groups 3 does not divide the 8 channels"),
        (GROUP_GHOST, "NCHW", {"group_size": 5}, "group_size 5 does not divide the 8 channels"),
        (GROUP_GHOST, "NC", {"examples": 1, "groups": 8}, "leave a single value in layout NC"),
        (BATCH_GROUP, "NCHW", {"groups": 16}, "groups 16 does not divide the 8 channels.*across_maps: true"),
        (BATCH_GROUP, "NC", {"groups": 16, "across_maps": True}, "groups 16 does not divide the 8 channels"),
        (BATCH_CHANNEL, "NCHW", {}, "groups 32 does not divide the 8 channels"),
        (BATCH_CHANNEL, "NC", {"groups": 8}, "groups 8 leaves groups of one channel in layout NC"),
        (IBN, "NCHW", {"ratio": 0.1}, "ratio 0.1 of the 8 channels of a site is less than one"),
        (IBN, "NC", {}, "not defined for layout NC"),
    ],
)
def test_what_would_leave_nothing_is_refused(file, layout, options, message):
    with pytest.raises(SpecError, match=message):
        Host(file, layout, **options)
