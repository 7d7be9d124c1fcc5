"""The smallest member of every supported family of GluonCV is built, takes a step, and hosts the norms it should.

By default only a few families are tested; NORMLAB_SLOW_TESTS=1 tests them all (up to twenty minutes, 5 GB).
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from models_support import losses, network, predicted

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv import build as gluoncv_build
from normlab.models.gluoncv.families import FAMILIES

mx = mxnet()
ALL = os.environ.get("NORMLAB_SLOW_TESTS", "") not in ("", "0")
QUICK = ("CIFAR ResNet v2", "ShuffleNet", "MobileNet")
TESTED = [
    pytest.param(
        family,
        id=family.title.replace(" ", "_"),
        marks=pytest.mark.skipif(not ALL and family.title not in QUICK, reason="slow; set NORMLAB_SLOW_TESTS=1"),
    )
    for family in FAMILIES
]


def member(family, norms):
    return network("gluoncv", norms, shape(family), network=family.networks[0])


def shape(family):
    return (3, family.side, family.side)


@pytest.mark.parametrize("family", TESTED)
def test_a_step_lowers_the_loss_and_inference_is_deterministic(family):
    net = member(family, "batch" if family.has_sites else "none")
    # graphs identify parameters by these names
    assert len({parameter.name for parameter in net.parameters.values()}) == len(net.parameters)
    before, after = losses(net, shape(family), 2, learning_rate=1e-5, count=8)
    assert np.isfinite([before, after]).all()
    # with dropout the loss may rise, since each step has different masks
    assert after < before or net.draws
    x = mx.nd.random.normal(shape=(2, *shape(family)))
    first, second = predicted(net.block, x), predicted(net.block, x)
    assert first.shape == (2, 4)
    assert (first == second).all()
    assert net.first_not_finite() is None


@pytest.mark.parametrize("family", TESTED)
def test_without_a_norm_every_shift_becomes_a_bias_or_is_noted(family):
    net = member(family, "none")
    lost = [int(note.split(" of its sites")[0].split()[-1]) for note in net.notes if "of its sites" in note]
    if family.has_sites:
        shifts = [name for name in member(family, "batch").parameters if name.endswith(".norm.beta")]
        # shufflenet's convolutions always have biases
        assert len(net.optional_biases) + sum(lost) <= len(shifts)
        own = {name for name, p in net.parameters.items() if name.endswith("bias")} - set(net.optional_biases)
        assert len(net.optional_biases) + sum(lost) == len(shifts) or own
    else:
        assert not net.optional_biases
        assert not lost


@pytest.mark.parametrize("family", TESTED)
def test_norms_that_take_over_the_activation_are_hosted_by_the_families_that_can(family, monkeypatch):
    if family.replaces_activation:
        hosts = member(family, "gate").hosts
        assert any(host.method.activation != "identity" for host in hosts)
    elif family.has_sites:
        # the network really can't host them, even if the family is changed to say so
        monkeypatch.setattr(gluoncv_build, "family_of", lambda _: replace(family, replaces_activation=True))
        with pytest.raises(SpecError, match=r"calls the activation after .* itself, or uses it at another place"):
            member(family, "gate")
    else:
        with pytest.raises(SpecError, match="has no norms"):
            member(family, "gate")
