"""Dynamic erf's family of functions against NumPy: values, gradients, and what they all have in common."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, close, equal_formula, norm

from normlab.catalog.signature import schema

DERF = "free/derf.py"

FORMULAS = {
    "tanh": np.tanh,
    "arctan": lambda u: 2 / np.pi * np.arctan(u),
    "isru": lambda u: u / np.sqrt(u**2 + 1),
    "satursin": lambda u: np.sin(np.clip(u, -np.pi / 2, np.pi / 2)),
    "relsign": lambda u: u / (np.sqrt(u**2 + 1) + 1),
    "smoothsign": lambda u: u / (1 + np.abs(u)),
    "expsign": lambda u: -np.sign(u) * np.expm1(-np.abs(u)),
    "exproot": lambda u: -np.sign(u) * np.expm1(-np.sqrt(np.abs(u))),
    "cubsign": lambda u: u**3 / (np.abs(u) ** 3 + 1),
    "saturlog": lambda u: np.sign(u) * np.log1p(np.abs(u)) / (np.log1p(np.abs(u)) + 1),
    "linear_clip": lambda u: np.clip(u, -1, 1),
    "power23_clip": lambda u: np.clip(np.sign(u) * np.cbrt(np.abs(u)) ** 2, -1, 1),
    "logsign_clip": lambda u: np.clip(np.sign(u) * np.log1p(np.abs(u)), -1, 1),
    "logquad_clip": lambda u: np.clip(np.sign(u) * np.log1p(u**2), -1, 1),
}
VALUES = {
    "alpha": np.array([0.7]),
    "s": np.array([0.1]),
    "gamma": np.linspace(0.5, 2, 8),
    "beta": np.linspace(-1, 1, 8),
}


def names():
    annotation = schema(norm(DERF).factories).model_fields["function"].annotation
    return annotation.__args__


def test_every_function_has_its_formula_here():
    # erf itself is proved against an implementation of others
    assert {*names()} - {"erf"} == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_function_and_gradients_equal_the_formula(name):
    random = np.random.default_rng(5)
    # away from 0 and from where something is cut off, so that differences are derivatives
    u = random.choice([-2.4, -0.8, -0.3, 0.3, 0.8, 2.4], (5, 8)) + random.uniform(-0.05, 0.05, (5, 8))
    x = (u - VALUES["s"]) / VALUES["alpha"]
    host = Host(DERF, "NC", VALUES, function=name)

    def formula(x, alpha, s, gamma, beta):
        return gamma * FORMULAS[name](alpha * x + s) + beta

    equal_formula(host, formula, x, random.normal(size=x.shape), VALUES, training=True)


@pytest.mark.parametrize("name", [*FORMULAS, "erf"])
def test_at_zero_value_is_zero_and_gradient_finite(name):
    done = Host(DERF, "NC", function=name)(np.zeros((2, 8)), np.ones((2, 8)))
    assert not done.y.any()
    assert np.isfinite(done.dx).all()


@pytest.mark.parametrize("name", [*FORMULAS, "erf"])
def test_functions_are_odd_bounded_and_increasing(name):
    u = np.repeat(np.linspace(-300, 300, 201)[:, None], 8, axis=1)
    y = Host(DERF, "NC", function=name)(u).y
    close(y, -y[::-1], 1e-6)
    assert np.abs(y).max() <= 1 + 1e-6
    assert (np.diff(y, axis=0) >= -1e-6).all()
    assert y[-1, 0] > 0.8
