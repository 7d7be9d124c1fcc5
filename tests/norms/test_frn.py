"""Filter response norm with its thresholded linear unit, against the formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, per_channel

from normlab.errors import SpecError

FRN = "statistics/frn.py"


def frn(epsilon=1e-6):
    def formula(x, gamma, beta, tau, epsilon_l=0.0):
        axes = tuple(range(2, x.ndim))
        mean = (x**2).mean(axes, keepdims=True) if axes else x**2
        learned = per_channel(np.abs(epsilon_l) + np.zeros(x.shape[1]), x)
        y = per_channel(gamma, x) * x / np.sqrt(mean + epsilon + learned) + per_channel(beta, x)
        return np.maximum(y, per_channel(tau, x))

    return formula


def values(*, learned):
    random = np.random.default_rng(5)
    found = {**affine_values(), "tau": random.normal(0, 0.3, 8)}
    return {**found, "epsilon_l": random.uniform(0.2, 0.6, 8) * (-1) ** np.arange(8)} if learned else found


CASES = {
    "NCHW": ("NCHW", {}, False, frn()),
    "NCHW-epsilon": ("NCHW", {"epsilon": 0.2}, False, frn(0.2)),
    "NCHW-learned": ("NCHW", {"learned_epsilon": True}, True, frn()),
    "NC": ("NC", {}, True, frn()),
    "NC-fixed": ("NC", {"learned_epsilon": False, "epsilon": 0.5}, False, frn(0.5)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_output_and_gradients_equal_the_formula(case, hybridize, training):
    layout, options, learned, formula = CASES[case]
    chosen = values(learned=learned)
    host = Host(FRN, layout, chosen, hybridize=hybridize, **options)
    x, dy = inputs(layout)
    assert 0.1 < (formula(x, **chosen) == per_channel(chosen["tau"], x)).mean() < 0.9  # on both sides of the threshold
    equal_formula(host, formula, x, dy, chosen, training=training)


def test_parameters_start_as_in_the_paper():
    assert Host(FRN).names == ["gamma", "beta", "tau"]
    assert (Host(FRN).value("tau") == 0).all()
    assert (Host(FRN, tau_start=-1.0).value("tau") == -1).all()
    learned = Host(FRN, "NC")
    assert learned.names == ["gamma", "beta", "tau", "epsilon_l"]
    close(learned.value("epsilon_l"), np.full(8, 1e-4), 1e-9)


def test_it_replaces_the_activation_and_shows_nan():
    host = Host(FRN)
    assert host.block.method.replaces_activation
    x, _ = inputs("NCHW")
    x[1, 2, 0, 0] = np.nan
    y = host(x).y
    assert np.isnan(y[1, 2]).all()
    assert np.isfinite(y[0]).all()


def test_sequences_are_refused():
    with pytest.raises(SpecError, match="NTC"):
        Host(FRN, "NTC")
