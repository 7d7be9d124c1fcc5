"""Optimizers, each against its formula in NumPy: several steps and parameters, changing rates, weight decay."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.api import run
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import check, describe
from normlab.errors import SpecError
from normlab.optimizers import OPTIMIZERS
from normlab.runs import checkpoint
from normlab.spec import parse_spec

mx = mxnet()

RATES = [0.05, 0.1, 0.1, 0.04, 0.02, 0.02, 0.01]
SHAPES = {"dense0.bias": (4,), "dense0.weight": (4, 3), "site0.norm.beta": (4,), "site0.norm.gamma": (4,)}
DECAY = 0.3


def starts():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def gradients(step):
    rng = np.random.default_rng(100 + step)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


class Training:
    """Trains parameters with given gradients."""

    def __init__(self, name, *, values=None, factors=None, **parameters):
        optimizer = OPTIMIZERS[name](**check((OPTIMIZERS[name],), {"learning_rate": 0.1, **parameters}))
        self.parameters = {}
        for own, value in (values or starts()).items():
            parameter = mx.gluon.Parameter(own, shape=value.shape, lr_mult=(factors or {}).get(own, 1.0))
            parameter.initialize(init=mx.init.Zero(), ctx=mx.cpu())
            parameter.set_data(mx.nd.array(value))
            self.parameters[own] = parameter
        self.trainer = mx.gluon.Trainer(list(self.parameters.values()), optimizer.attach(self.parameters), kvstore=None)

    def step(self, rate, gradients):
        self.trainer.set_learning_rate(rate)
        with mx.autograd.record():
            loss = sum((p.data() * mx.nd.array(gradients[own])).sum() for own, p in self.parameters.items())
        loss.backward()
        self.trainer.update(1)

    def whole(self, rates=RATES):
        for step, rate in enumerate(rates):
            self.step(rate, gradients(step))
        return self.values()

    def values(self):
        return {own: parameter.data().asnumpy() for own, parameter in self.parameters.items()}


def sgd(w, gradients, rates, decay, momentum=0.8):
    v = 0
    for g, rate in zip(gradients, rates):
        v = momentum * v - rate * (g + decay * w)
        w = w + v
    return w


def nag(w, gradients, rates, decay, momentum=0.8):
    v = 0
    for slope, rate in zip(gradients, rates):
        g = slope + decay * w
        v = momentum * v - rate * g
        w = w + momentum * v - rate * g
    return w


def signum(w, gradients, rates, decay, momentum=0.8):
    m = 0
    for g, rate in zip(gradients, rates):
        m = momentum * m + (1 - momentum) * g
        w = (1 - rate * decay) * w - rate * np.sign(m)
    return w


def lars(w, gradients, rates, decay, *, layer, momentum=0.8):
    v = 0
    for g, rate in zip(gradients, rates):
        size, slope = np.linalg.norm(w), np.linalg.norm(g)
        own = rate * 0.02 * size / (slope + decay * size + 0.5) if layer else rate
        v = momentum * v - own * (g + decay * w)
        w = w + v
    return w


def rmsprop(w, gradients, rates, decay):
    n = 0
    for slope, rate in zip(gradients, rates):
        g = slope + decay * w
        n = 0.7 * n + 0.3 * g**2
        w = w - rate * g / np.sqrt(n + 0.01)
    return w


def rmsprop_centered(w, gradients, rates, decay):
    n = m = v = 0
    for slope, rate in zip(gradients, rates):
        g = slope + decay * w
        n, m = 0.7 * n + 0.3 * g**2, 0.7 * m + 0.3 * g
        v = 0.8 * v - rate * g / np.sqrt(n - m**2 + 0.01)
        w = w + v
    return w


def adagrad(w, gradients, rates, decay):
    n = 0
    for slope, rate in zip(gradients, rates):
        g = slope + decay * w
        n = n + g**2
        w = w - rate * g / np.sqrt(n + 0.01)
    return w


def adadelta(w, gradients, rates, decay):
    n = s = 0
    for slope, rate in zip(gradients, rates):
        g = slope + decay * w
        n = 0.7 * n + 0.3 * g**2
        d = np.sqrt(s + 0.01) / np.sqrt(n + 0.01) * g
        s = 0.7 * s + 0.3 * d**2
        w = w - rate * d
    return w


def ftrl(w, gradients, rates, decay):
    z = n = 0
    for g, rate in zip(gradients, rates):
        z = z + g - (np.sqrt(n + g**2) - np.sqrt(n)) * w / rate
        n = n + g**2
        w = np.where(np.abs(z) > 0.2, (np.sign(z) * 0.2 - z) / ((2 + np.sqrt(n)) / rate + decay), 0)
    return w


def ftml(w, gradients, rates, decay):
    v = z = d = 0
    for t, (slope, rate) in enumerate(zip(gradients, rates), 1):
        g = slope + decay * w
        v = 0.9 * v + 0.1 * g**2
        new = (1 - 0.6**t) / rate * (np.sqrt(v / (1 - 0.9**t)) + 0.01)
        z = 0.6 * z + 0.4 * g - (new - 0.6 * d) * w
        d = new
        w = -z / d
    return w


def averages(gradients):
    """Yield Adam's corrected averages of gradients and of their squares."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        yield m / (1 - 0.8**t), v / (1 - 0.9**t)


def adam(w, gradients, rates, decay):
    seen = []
    for g, rate in zip(gradients, rates):
        seen.append(g + decay * w)
        *_, (m, v) = averages(seen)
        w = w - rate * m / (np.sqrt(v) + 0.01)
    return w


def adamw(w, gradients, rates, decay):
    for (m, v), rate in zip(averages(gradients), rates):
        w = (1 - rate * decay) * w - rate * m / (np.sqrt(v) + 0.01)
    return w


def adamax(w, gradients, rates, decay):
    m = u = 0
    for t, (slope, rate) in enumerate(zip(gradients, rates), 1):
        g = slope + decay * w
        m, u = 0.8 * m + 0.2 * g, np.maximum(0.9 * u, np.abs(g) + 0.01)
        w = w - rate * m / ((1 - 0.8**t) * u)
    return w


def nadam(w, gradients, rates, decay):
    def b(t):
        return 0.8 * (1 - 0.96 ** (t * 0.5) / 2)

    m = v = 0
    p = 1
    for t, (slope, rate) in enumerate(zip(gradients, rates), 1):
        g = slope + decay * w
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        p = p * b(t)
        ahead = b(t + 1) * m / (1 - p * b(t + 1)) + (1 - b(t)) * g / (1 - p)
        w = w - rate * ahead / (np.sqrt(v / (1 - 0.9**t)) + 0.01)
    return w


def lamb(w, gradients, rates, decay):
    for (m, v), rate in zip(averages(gradients), rates):
        u = m / (np.sqrt(v) + 0.01) + decay * w
        w = w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u
    return w


MOMENTUM = {"momentum": 0.8}
SMOOTHED = {"smoothing": 0.7, "epsilon": 0.01}
BETAS = {"beta1": 0.8, "beta2": 0.9, "epsilon": 0.01}
BY_HAND = {
    "sgd": (MOMENTUM, sgd),
    "nag": (MOMENTUM, nag),
    "signum": (MOMENTUM, signum),
    "lars": ({**MOMENTUM, "trust": 0.02, "epsilon": 0.5}, lars),
    "rmsprop": (SMOOTHED, rmsprop),
    "rmsprop_centered": ({**SMOOTHED, **MOMENTUM}, rmsprop_centered),
    "adagrad": ({"epsilon": 0.01}, adagrad),
    "adadelta": (SMOOTHED, adadelta),
    "ftrl": ({"l1": 0.2, "beta": 2.0}, ftrl),
    "ftml": ({"beta1": 0.6, "beta2": 0.9, "epsilon": 0.01}, ftml),
    "adam": (BETAS, adam),
    "adamw": (BETAS, adamw),
    "adamax": (BETAS, adamax),
    "nadam": ({**BETAS, "momentum_decay": 0.5}, nadam),
    "lamb": (BETAS, lamb),
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def by_hand(name, own, decay, rates=RATES):
    more = {"layer": own == "dense0.weight"} if name == "lars" else {}
    return BY_HAND[name][1](starts()[own], [gradients(step)[own] for step in range(len(rates))], rates, decay, **more)


def test_every_optimizer_has_a_formula_in_this_file():
    assert set(BY_HAND) == set(OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_steps_agree_with_the_formula(name, decay):
    parameters, _ = BY_HAND[name]
    for own, value in Training(name, weight_decay=decay, **parameters).whole().items():
        np.testing.assert_allclose(value, by_hand(name, own, decay), rtol=2e-5, atol=2e-6, err_msg=own)


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_steps_of_sgd_without_momentum_agree_with_the_formula(decay):
    for own, value in Training("sgd", weight_decay=decay, momentum=0.0).whole().items():
        found = [gradients(step)[own] for step in range(len(RATES))]
        expected = sgd(starts()[own], found, RATES, decay, momentum=0.0)
        np.testing.assert_allclose(value, expected, rtol=2e-6, atol=2e-7, err_msg=own)


@each_optimizer
def test_weight_decay_can_be_disabled_for_scales_shifts_and_biases(name):
    parameters, _ = BY_HAND[name]
    decayed, plain = (Training(name, weight_decay=decay, **parameters).whole() for decay in (DECAY, 0.0))
    flags = {"decay_gamma_beta": False, "decay_bias": False}
    spared = Training(name, weight_decay=DECAY, **parameters, **flags).whole()
    for own in SHAPES:
        assert (spared[own] == (decayed if own == "dense0.weight" else plain)[own]).all(), own
        assert (decayed[own] != plain[own]).any(), own


def test_weight_decay_is_disabled_for_scales_and_biases_independently():
    no_scale = Training("sgd", weight_decay=DECAY, decay_gamma_beta=False).whole()
    no_bias = Training("sgd", weight_decay=DECAY, decay_bias=False).whole()
    all_decay = Training("sgd", weight_decay=DECAY).whole()
    assert {own for own in SHAPES if (no_scale[own] != all_decay[own]).any()} == {"site0.norm.beta", "site0.norm.gamma"}
    assert {own for own in SHAPES if (no_bias[own] != all_decay[own]).any()} == {"dense0.bias"}


@each_optimizer
def test_factor_of_a_parameter_multiplies_its_learning_rate(name):
    parameters, _ = BY_HAND[name]
    values = Training(name, factors={"site0.norm.gamma": 0.5}, weight_decay=0.0, **parameters).whole()
    slower = by_hand(name, "site0.norm.gamma", 0.0, [rate / 2 for rate in RATES])
    np.testing.assert_allclose(values["site0.norm.gamma"], slower, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(values["dense0.weight"], by_hand(name, "dense0.weight", 0.0), rtol=2e-5, atol=2e-6)


@each_optimizer
def test_parameters_without_gradient_do_not_change(name):
    training = Training(name, weight_decay=0.0)
    none = {own: np.zeros(shape) for own, shape in SHAPES.items()}
    for _ in range(3):
        training.step(0.1, none)
    for own, value in training.values().items():
        # the follow-the-leader method of sparse weights forgets where they started
        expected = np.zeros_like(value) if name == "ftrl" else starts()[own]
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=own)


@each_optimizer
def test_parameter_that_starts_at_zero_changes(name):
    values = {own: np.zeros(shape) for own, shape in SHAPES.items()}
    moved = Training(name, values=values, **({"l1": 0.0} if name == "ftrl" else {})).whole(RATES[:2])
    assert all(np.isfinite(value).all() and (value != 0).all() for value in moved.values())


@each_optimizer
def test_training_resumes_from_arrays_of_state_and_the_step_alone(name):
    parameters, _ = BY_HAND[name]
    whole = Training(name, weight_decay=DECAY, **parameters)
    for step, rate in enumerate(RATES[:4]):
        whole.step(rate, gradients(step))
    resumed = Training(name, values=whole.values(), weight_decay=DECAY, **parameters)
    (old,), (new,) = whole.trainer._updaters, resumed.trainer._updaters
    new.states = {index: copy(state) for index, state in old.states.items()}
    new.states_synced = dict.fromkeys(new.states, True)
    resumed.trainer.optimizer.begin_num_update = 4
    for step in range(4, len(RATES)):
        for training in (whole, resumed):
            training.step(RATES[step], gradients(step))
    for own, value in resumed.values().items():
        assert (value == whole.values()[own]).all(), own


def copy(state):
    if isinstance(state, (tuple, list)):
        return tuple(copy(part) for part in state)
    return None if state is None else state.copy()


@each_optimizer
def test_every_parameter_is_documented_and_shared_ones_are_inherited(name):
    parameters = {parameter.name: parameter for parameter in describe((OPTIMIZERS[name],))}
    assert {"learning_rate", "weight_decay", "decay_gamma_beta", "decay_bias"} <= set(parameters)
    assert all(parameter.description for parameter in parameters.values())


SPEC = """
name: optimized
dataset: {name: synthetic, shape: [1, 6, 6], classes: 4, train: 256, test: 100}
model: {name: mlp, hidden: [16]}
norm: batch
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 60, batch_size: 32}
evaluation: {every: 20}
device: cpu
"""


@pytest.mark.parametrize(
    "optimizer",
    [
        "{name: adamw, learning_rate: 0.01, decay_gamma_beta: false, decay_bias: false}",
        "{name: lars, learning_rate: 0.1, trust: 0.1, weight_decay: 1.0e-4}",
        "{name: nadam, learning_rate: 0.01}",
    ],
)
def test_run_with_the_optimizer_learns(tmp_path, optimizer):
    history = run(parse_spec(SPEC, "optimized.yaml", [f"optimizer={optimizer}"]), out=tmp_path)
    losses = [history.loss("train")[index] for index in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert history.accuracy("test")[-1] > 0.8


def test_run_without_decay_of_scales_keeps_larger_scales(tmp_path):
    overrides = ["optimizer.weight_decay=0.1", "training.steps=3"]
    decayed, spared = (
        checkpoint.load(run(parse_spec(SPEC, "o.yaml", [*overrides, *more]), out=tmp_path).directory / "checkpoint")
        for more in ([], ["optimizer.decay_gamma_beta=false"])
    )
    assert abs(spared["site0.norm.gamma"]).sum() > abs(decayed["site0.norm.gamma"]).sum() * 1.01


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.momentum=1", "momentum.*less than 1|momentum.*below 1"),
        ("optimizer.learning_rate=0", "learning_rate"),
        ("optimizer.lr=0.1", "optimizer.lr: unknown"),
        ("optimizer={name: adam, beta3: 0.9}", "beta3.*did you mean 'beta"),
        ("optimizer={name: adam, decay_bias: 1}", "decay_bias"),
    ],
)
def test_invalid_parameter_is_an_error_with_its_location(tmp_path, override, message):
    with pytest.raises(SpecError, match=message):
        run(parse_spec(SPEC, "optimized.yaml", [override]), out=tmp_path)
