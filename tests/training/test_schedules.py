"""Schedules against their formulas at the first, last and boundary steps, and against those of MXNet and GluonCV."""

from __future__ import annotations

import math

import pytest

from normlab.api import run
from normlab.backend.mxnet import gluoncv, mxnet
from normlab.catalog.signature import check, describe
from normlab.errors import SpecError
from normlab.runs import checkpoint
from normlab.spec import parse_spec
from normlab.training.schedules import SCHEDULES

STEPS = 100

SPEC = """
name: scheduled
dataset: {name: synthetic, shape: [1, 4, 4], classes: 3, train: 64, test: 30}
model: {name: mlp, hidden: [8]}
norm: none
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 8, batch_size: 16}
evaluation: {every: 100}
device: cpu
"""


def made(name, **parameters):
    return SCHEDULES[name](**check((SCHEDULES[name],), parameters))


def parameters_of(tmp_path, *overrides):
    history = run(parse_spec(SPEC, "scheduled.yaml", overrides), out=tmp_path)
    return checkpoint.load(history.directory / "checkpoint")


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("constant", {}, {0: 1, 50: 1, 99: 1}),
        ("step", {"milestones": [30, 60]}, {0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01, 99: 0.01}),
        ("step", {"milestones": [1], "factor": 0.5}, {0: 1, 1: 0.5}),
        ("cosine", {}, {0: 1, 50: 0.5, 99: (1 + math.cos(math.pi * 0.99)) / 2}),
        ("cosine", {"final_factor": 0.2}, {0: 1, 25: 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 50: 0.6}),
        ("linear", {}, {0: 1, 25: 0.75, 99: 0.01}),
        ("linear", {"final_factor": 0.5}, {0: 1, 50: 0.75, 99: 0.505}),
        ("poly", {"power": 3}, {0: 1, 50: 0.125, 99: 1e-6}),
        ("poly", {"final_factor": 0.1}, {0: 1, 50: 0.325}),
        ("exponential", {"every": 10}, {0: 1, 5: 0.1**0.5, 10: 0.1, 99: 0.1**9.9}),
    ],
)
def test_factors_match_the_formula(name, parameters, expected):
    schedule = made(name, **parameters)
    assert {step: schedule(step, STEPS) for step in expected} == pytest.approx(expected, rel=1e-9)


PARAMETERS = {"step": {"milestones": [40]}, "exponential": {"every": 20}}


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_to_the_full_rate_at_which_the_decay_starts(name):
    schedule = made(name, warmup_steps=4, warmup_from=0.2, **PARAMETERS.get(name, {}))
    rates = [schedule(step, STEPS) for step in range(6)]
    assert rates[:5] == pytest.approx([0.4, 0.6, 0.8, 1, 1])
    assert rates[5] <= 1


@pytest.mark.parametrize("name", ["cosine", "linear", "poly"])
def test_the_decay_takes_the_steps_after_warm_up(name):
    with_warmup, without = made(name, warmup_steps=20), made(name)
    assert [with_warmup(20 + step, STEPS) for step in (0, 40, 79)] == [without(step, 80) for step in (0, 40, 79)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_positive_and_do_not_depend_on_earlier_calls(name):
    schedule = made(name, warmup_steps=5, **PARAMETERS.get(name, {}))
    forwards = [schedule(step, STEPS) for step in range(STEPS)]
    backwards = [schedule(step, STEPS) for step in reversed(range(STEPS))]
    assert forwards == backwards[::-1]
    assert min(forwards) > 0
    assert [made(name, warmup_steps=5, **PARAMETERS.get(name, {}))(7, STEPS)] == [forwards[7]]


def test_a_run_shorter_than_the_warm_up_only_warms_up():
    schedule = made("cosine", warmup_steps=10)
    assert [schedule(step, 3) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("step", [0, 1, 50, 99])
def test_decays_match_those_of_mxnet_and_gluoncv(step):
    schedulers, utils = mxnet().lr_scheduler, gluoncv().utils
    cosine = schedulers.CosineScheduler(STEPS, base_lr=1.0, final_lr=0.1)
    poly = schedulers.PolyScheduler(STEPS, base_lr=1.0, final_lr=0.1, pwr=3)
    assert made("cosine", final_factor=0.1)(step, STEPS) == pytest.approx(cosine(step), rel=1e-12)
    assert made("poly", final_factor=0.1, power=3)(step, STEPS) == pytest.approx(poly(step), rel=1e-12)
    for name in ("linear", "cosine", "poly"):
        # GluonCV reaches the target in the last iteration, normlab after the last step
        theirs = utils.LRScheduler(name, base_lr=1.0, target_lr=0.1, niters=STEPS + 1, power=2)
        assert made(name, final_factor=0.1)(step, STEPS) == pytest.approx(theirs(step), rel=1e-12)
    theirs = utils.LRScheduler("step", base_lr=1.0, niters=STEPS, step_iter=[1, 50], step_factor=0.1)
    assert made("step", milestones=[1, 50])(step, STEPS) == pytest.approx(theirs(step), rel=1e-12)


def test_a_run_uses_the_rate_of_each_step(tmp_path):
    # after the fifth step the rate is practically 0, so the run ends like a run of five steps
    stopped = parameters_of(tmp_path, "schedule={name: step, milestones: [5], factor: 1.0e-30}")
    short = parameters_of(tmp_path, "training.steps=5")
    whole = parameters_of(tmp_path)
    assert all((stopped[name] == short[name]).all() for name in short)
    assert any((whole[name] != short[name]).any() for name in short)


def test_the_decay_depends_on_the_length_of_the_run(tmp_path):
    # linear decay: the first step has the full rate; in a run of two steps the second has half of it
    decayed = parameters_of(tmp_path, "schedule=linear", "training.steps=1")
    plain = parameters_of(tmp_path, "training.steps=1")
    assert all((decayed[name] == plain[name]).all() for name in plain)
    longer = parameters_of(tmp_path, "schedule=linear", "training.steps=2")
    half = parameters_of(tmp_path, "schedule={name: step, milestones: [1], factor: 0.5}", "training.steps=2")
    assert all((longer[name] == half[name]).all() for name in half)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule=cosin", "did you mean 'cosine'"),
        ("schedule=step", "milestones"),
        ("schedule={name: step, milestones: [5, 5]}", "expected increasing steps"),
        ("schedule={name: step, milestones: []}", "expected increasing steps"),
        ("schedule={name: cosine, final_factor: 2}", "final_factor"),
        ("schedule={name: constant, warmup: 3}", "warmup.*unknown"),
    ],
)
def test_an_invalid_schedule_is_refused_with_its_place(tmp_path, override, message):
    with pytest.raises(SpecError, match=f"schedule.*{message}"):
        parameters_of(tmp_path, override)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_parameter_is_described(name):
    parameters = describe((SCHEDULES[name],))
    assert {"warmup_steps", "warmup_from"} <= {parameter.name for parameter in parameters}
    assert all(parameter.description for parameter in parameters)
