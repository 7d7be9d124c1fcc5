"""Batch-instance norm: its two ends, and the gate that stays between them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from norms_support import Host, affine_values, close, inputs, mx, norm, per_channel

from normlab.catalog import catalog
from normlab.errors import SpecError
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec

FILE = "statistics/batch_instance.py"

SPEC = {
    "dataset": {"name": "synthetic", "shape": [3, 8, 8], "classes": 2, "train": 16, "validation": 0, "test": 8},
    "model": {"name": "resnet", "depth": 8},
    "norm": "batch_instance",
    "optimizer": {"name": "adam", "learning_rate": 0.1},
    "training": {"steps": 3, "batch_size": 8},
    "device": "cpu",
}


@pytest.mark.parametrize(("rho", "axes"), [(1.0, (0, 2, 3)), (0.0, (2, 3))], ids=["batch", "instance"])
def test_at_its_ends_it_is_batch_norm_and_instance_norm(rho, axes):
    values = {**affine_values(), "rho": np.full(8, rho)}
    x, _ = inputs("NCHW")
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    close(Host(FILE, values=values)(x).y, per_channel(values["gamma"], x) * y + per_channel(values["beta"], x))


def test_after_a_step_gates_are_within_their_bounds():
    project = norm(FILE).project()
    gates = mx.nd.array([-0.5, 0.0, 0.25, 1.0, 1.5])
    assert project(mx.nd, "block0.norm.rho", gates).asnumpy().tolist() == [0, 0, 0.25, 1, 1]
    assert project(mx.nd, "block0.norm.gamma", gates) is gates
    assert project(mx.nd, "rho.weight", gates) is gates


def test_gates_are_clipped_in_a_training_that_would_take_them_out():
    spec = resolve(parse_spec(json.dumps(SPEC)), catalog(third_party=False))
    dataset = spec.dataset.entry.load(**spec.dataset.parameters)
    network, trainer, _, _ = assemble(spec, dataset, [mx.cpu()], 3)
    trainer.steps(0, 3, lambda _: None)
    gates = np.concatenate([p.data().asnumpy() for name, p in network.parameters.items() if name.endswith(".rho")])
    # Adam moves each by about 0.1 times ten in a step
    assert set(np.unique(gates)) >= {0.0, 1.0}
    assert gates.min() == 0
    assert gates.max() == 1


def test_the_gate_learns_faster_than_the_weights():
    assert Host(FILE).parameter("rho").lr_mult == 10
    assert Host(FILE, rho_learning_rate_factor=2.0).parameter("rho").lr_mult == 2


def test_vectors_are_refused():
    with pytest.raises(SpecError, match="NC"):
        Host(FILE, "NC")
