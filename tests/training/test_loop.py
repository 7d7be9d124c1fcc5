"""The pieces of the training loop, each against a plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.backend.devices import resolve_devices
from normlab.backend.mxnet import mxnet
from normlab.errors import DeviceError
from normlab.training.batches import Batches
from normlab.training.losses import sigmoid_cross_entropy, softmax_cross_entropy
from normlab.training.randomness import generator, key, keyed

mx = mxnet()


def test_every_epoch_shows_each_example_once_in_another_order():
    batches = Batches(seed=3, examples=10, batch_size=4)
    seen = batches.indices(0, 5).ravel()
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_batches_depend_on_seed_and_step_only():
    batches = Batches(3, 50, 8)
    whole = batches.indices(0, 30)
    again = Batches(3, 50, 8)
    assert (again.indices(17, 5) == whole[17:22]).all()
    assert (again.indices(2, 3) == whole[2:5]).all()
    assert (Batches(4, 50, 8).indices(0, 30) != whole).any()


def test_digest_of_the_order_tells_seeds_and_lengths_apart():
    digests = {Batches(seed, 50, 8).digest(steps) for seed in (0, 1) for steps in (5, 6, 20)}
    assert len(digests) == 6
    assert Batches(0, 50, 8).digest(20) in digests


def test_keys_differ_by_purpose_and_index():
    keys = {key(0, "batches", 0), key(0, "batches", 1), key(1, "batches", 0), key(0, "initialize", 0)}
    assert len(keys) == 4
    assert generator(0, "x").random() == generator(0, "x").random()


def test_keyed_draws_leave_numpys_global_generator_alone():
    np.random.seed(5)
    expected = np.random.random(2)
    np.random.seed(5)
    first = np.random.random()
    with keyed(0, "initialize", "dense0.weight"):
        np.random.random()
    assert [first, np.random.random()] == list(expected)


def by_hand_sigmoid(z, y):
    p = 1 / (1 + np.exp(-z))
    hot = np.eye(z.shape[1])[y]
    return -(hot * np.log(p) + (1 - hot) * np.log(1 - p)).sum(1)


def by_hand_softmax(z, y):
    return np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), y]


@pytest.mark.parametrize(
    ("make", "by_hand"), [(sigmoid_cross_entropy, by_hand_sigmoid), (softmax_cross_entropy, by_hand_softmax)]
)
def test_losses_equal_their_definition(make, by_hand):
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 3, (20, 7)), rng.integers(0, 7, 20)
    loss = make().each(mx.nd, mx.nd.array(z), mx.nd.array(y))
    np.testing.assert_allclose(loss.asnumpy(), by_hand(z, y), atol=1e-5)


@pytest.mark.parametrize("make", [sigmoid_cross_entropy, softmax_cross_entropy])
def test_losses_of_large_outputs_are_finite(make):
    z = mx.nd.array([[300.0, -300.0], [-300.0, 300.0]])
    assert np.isfinite(make().each(mx.nd, z, mx.nd.array([0, 0])).asnumpy()).all()


def test_auto_is_the_cpu_where_there_is_no_gpu():
    assert resolve_devices(["auto"]) == [mx.gpu(0) if mx.context.num_gpus() else mx.cpu(0)]
    assert resolve_devices(["cpu", "cpu:1"]) == [mx.cpu(0), mx.cpu(1)]


def test_a_gpu_that_is_not_there_is_refused_with_the_reason():
    with pytest.raises(DeviceError, match=r"gpu:7.*no such GPU.*normlab doctor"):
        resolve_devices(["gpu:7"])
    with pytest.raises(DeviceError, match="unknown"):
        resolve_devices(["tpu"])
