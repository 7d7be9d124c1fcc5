"""Synchronized batch norm: batch norm on one device, refused on several."""

from __future__ import annotations

import json

import numpy as np
import pytest
from norms_support import Host, affine_values, inputs, mx

from normlab.catalog import catalog
from normlab.errors import SpecError
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec

SPEC = {
    "dataset": {"name": "synthetic", "shape": [1, 4, 4], "classes": 2, "train": 16, "validation": 0, "test": 8},
    "model": {"name": "mlp", "hidden": [8]},
    "norm": "sync_batch",
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "training": {"steps": 2, "batch_size": 8},
    "device": "cpu",
}


def trainer_on(devices):
    spec = resolve(parse_spec(json.dumps(SPEC)), catalog(third_party=False))
    dataset = spec.dataset.entry.load(**spec.dataset.parameters)
    return assemble(spec, dataset, [mx.cpu(index) for index in range(devices)], 2)[1]


@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
def test_on_one_device_it_is_batch_norm_bit_for_bit(layout):
    hosts = [Host(file, layout, affine_values()) for file in ("statistics/sync_batch.py", "../normlab/norms/batch.py")]
    for seed in range(2):
        x, dy = inputs(layout, seed)
        one, other = (host(x, dy) for host in hosts)
        assert np.array_equal(one.y, other.y)
        assert np.array_equal(one.dx, other.dx)
    assert np.array_equal(*(host.value("running_var") for host in hosts))
    assert np.array_equal(*(host(x, training=False).y for host in hosts))


def test_one_device_trains_and_two_are_refused_before_the_first_step():
    trainer_on(1).steps(0, 2, lambda _: None)
    with pytest.raises(SpecError, match=r"2 devices can't share statistics within a step.*choose norm batch"):
        trainer_on(2)
