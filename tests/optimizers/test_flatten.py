"""Joined parameters: one long one in place of many, which changes nothing but the time that a step takes."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import check
from normlab.optimizers import OPTIMIZERS
from normlab.optimizers.flatten import flatten

mx = mxnet()
CPU = [mx.cpu(0)]
SHAPES = {"dense0.bias": (4,), "dense0.weight": (4, 3), "site0.norm.beta": (4,), "site0.norm.gamma": (5, 3)}


def parameters(contexts=CPU, factors=None):
    rng = np.random.default_rng(0)
    made = {}
    for name, shape in SHAPES.items():
        made[name] = mx.gluon.Parameter(name, shape=shape, lr_mult=(factors or {}).get(name, 1.0))
        made[name].initialize(init=mx.init.Zero(), ctx=list(contexts))
        made[name].set_data(mx.nd.array(rng.normal(size=shape)))
    return made


def optimizer(name):
    return OPTIMIZERS[name](**check((OPTIMIZERS[name],), {"learning_rate": 0.1, "weight_decay": 0.3}))


def backward(parameters, step):
    rng = np.random.default_rng(step)
    with mx.autograd.record():
        loss = sum((p.data() * mx.nd.array(rng.normal(size=p.shape))).sum() for p in parameters.values())
    loss.backward()


def trained(name, *, join, decay_gamma_beta=True, factors=None):
    made = parameters(factors=factors)
    chosen = OPTIMIZERS[name](
        **check((OPTIMIZERS[name],), {"learning_rate": 0.1, "weight_decay": 0.3, "decay_gamma_beta": decay_gamma_beta})
    )
    rule = chosen.attach(made)
    steered = flatten(made, CPU) if join else made
    trainer = mx.gluon.Trainer(list(steered.values()), rule, kvstore=None)
    for step in range(4):
        backward(made, step)
        for index, parameter in enumerate(steered.values()):
            trainer._updaters[0](index, parameter.grad(), parameter.data())
    return {own: p.data().asnumpy() for own, p in made.items()}


def test_values_stay_and_reads_and_writes_go_to_the_flat_parameter():
    made, before = parameters(), {name: p.data().asnumpy() for name, p in parameters().items()}
    (whole,) = flatten(made, CPU).values()
    assert all((p.data().asnumpy() == before[name]).all() for name, p in made.items())
    made["dense0.bias"].set_data(mx.nd.ones(4) * 7)
    assert (whole.data().asnumpy() == 7).sum() == 4
    whole.data()[:] = 3
    assert all((p.data().asnumpy() == 3).all() for p in made.values())


def test_gradients_are_written_to_the_flat_parameter_and_gaps_stay_zero():
    made = parameters()
    (whole,) = flatten(made, CPU).values()
    backward(made, 0)
    gradients = np.concatenate([p.grad().asnumpy().ravel() for p in made.values()])
    long = whole.grad()[0].asnumpy()
    assert np.sort(long[long != 0]).tolist() == np.sort(gradients).tolist()
    assert len(long) == 64
    assert len(gradients) == 35


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lars", "lamb"}))
def test_optimizer_takes_the_same_steps_with_flat_parameters(name):
    apart, together = (trained(name, join=join) for join in (False, True))
    for own, value in apart.items():
        np.testing.assert_allclose(together[own], value, rtol=1e-6, atol=1e-7, err_msg=own)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_optimizers_that_use_norms_of_parameters_are_not_elementwise(name):
    assert not optimizer(name).elementwise


def test_parameters_with_other_factors_are_flattened_separately():
    made = parameters(factors={"site0.norm.gamma": 0.5})
    optimizer("sgd").attach(made)
    assert len(flatten(made, CPU)) == 2
    for options in ({"factors": {"site0.norm.gamma": 0.5}}, {"decay_gamma_beta": False}):
        apart, together = (trained("sgd", join=join, **options) for join in (False, True))
        for own, value in apart.items():
            np.testing.assert_allclose(together[own], value, rtol=1e-6, err_msg=own)


def test_each_device_has_its_own_flat_array():
    contexts = [mx.cpu(0), mx.cpu(1)]
    made = parameters(contexts)
    (whole,) = flatten(made, contexts).values()
    assert [array.context for array in whole.list_data()] == contexts
    assert [array.context for array in made["dense0.weight"].list_data()] == contexts
    whole.list_data()[1][:] = 5
    assert (made["dense0.weight"].list_data()[1].asnumpy() == 5).all()
    assert (made["dense0.weight"].list_data()[0].asnumpy() != 5).all()
