"""The components of the training loop, each against a plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.backend.devices import resolve_devices
from normlab.backend.mxnet import mxnet
from normlab.errors import DeviceError
from normlab.training.batches import Batches
from normlab.training.randomness import generator, key, keyed

mx = mxnet()


def test_every_epoch_has_each_example_once_in_a_new_order():
    batches = Batches(seed=3, examples=10, batch_size=4)
    seen = batches.indices(0, 5).ravel()
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_batches_depend_only_on_seed_and_step():
    batches = Batches(3, 50, 8)
    whole = batches.indices(0, 30)
    again = Batches(3, 50, 8)
    assert (again.indices(17, 5) == whole[17:22]).all()
    assert (again.indices(2, 3) == whole[2:5]).all()
    assert (Batches(4, 50, 8).indices(0, 30) != whole).any()


def test_the_digest_of_the_order_distinguishes_seeds_and_lengths():
    digests = {Batches(seed, 50, 8).digest(steps) for seed in (0, 1) for steps in (5, 6, 20)}
    assert len(digests) == 6
    assert Batches(0, 50, 8).digest(20) in digests


def test_keys_differ_by_purpose_and_index():
    keys = {key(0, "batches", 0), key(0, "batches", 1), key(1, "batches", 0), key(0, "initialize", 0)}
    assert len(keys) == 4
    assert generator(0, "x").random() == generator(0, "x").random()


def test_keyed_draws_do_not_change_numpys_global_generator():
    np.random.seed(5)
    expected = np.random.random(2)
    np.random.seed(5)
    first = np.random.random()
    with keyed(0, "initialize", "dense0.weight"):
        np.random.random()
    assert [first, np.random.random()] == list(expected)


def test_auto_is_the_cpu_without_a_gpu():
    assert resolve_devices(["auto"]) == [mx.gpu(0) if mx.context.num_gpus() else mx.cpu(0)]
    assert resolve_devices(["cpu", "cpu:1"]) == [mx.cpu(0), mx.cpu(1)]


def test_a_missing_gpu_is_refused_with_the_reason():
    with pytest.raises(DeviceError, match=r"gpu:7.*no such GPU.*normlab doctor"):
        resolve_devices(["gpu:7"])
    with pytest.raises(DeviceError, match="unknown"):
        resolve_devices(["tpu"])
