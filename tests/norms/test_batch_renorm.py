"""Batch renormalization against algorithm 1 in NumPy: outputs, gradients, state, the schedule of its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from norms_support import Host, affine_values, close, inputs, numeric_gradient, per_channel

from normlab.errors import SpecError

FILE = "statistics/batch_renorm.py"
EPSILON = 1e-5
AT_ONCE = {"relax_from": 0, "r_max_from": 0, "d_max_from": 0}


@dataclass
class Reference:
    """The algorithm, with its running state."""

    average: str = "deviation"
    momentum: float = 0.8
    r_max: float = 1.4
    d_max: float = 0.3
    mean: Any = field(default_factory=lambda: np.zeros(8))
    spread: Any = field(default_factory=lambda: np.ones(8))

    @property
    def sigma(self):
        return self.spread if self.average == "deviation" else np.sqrt(self.spread + EPSILON)

    def corrections(self, x):
        mean, sigma = statistics(x)
        r = np.clip(sigma / self.sigma, 1 / self.r_max, self.r_max)
        return r, np.clip((mean - self.mean) / self.sigma, -self.d_max, self.d_max)

    def train(self, x, gamma, beta, r, d):
        mean, sigma = (per_channel(value, x) for value in statistics(x))
        y = (x - mean) / sigma * per_channel(r, x) + per_channel(d, x)
        return per_channel(gamma, x) * y + per_channel(beta, x)

    def predict(self, x, gamma, beta):
        y = (x - per_channel(self.mean, x)) / per_channel(self.sigma, x)
        return per_channel(gamma, x) * y + per_channel(beta, x)

    def move(self, x):
        mean, sigma = statistics(x)
        count = x.size / 8
        variance = (sigma**2 - EPSILON) * (count / (count - 1) if self.average == "unbiased_variance" else 1)
        new = sigma if self.average == "deviation" else variance
        self.mean = self.momentum * self.mean + (1 - self.momentum) * mean
        self.spread = self.momentum * self.spread + (1 - self.momentum) * new


def statistics(x):
    axes = (0, *range(2, x.ndim))
    return x.mean(axes), np.sqrt(x.var(axes) + EPSILON)


def host_of(reference, layout, **options):
    chosen = {"momentum": reference.momentum, "average": reference.average, **AT_ONCE, **options}
    return Host(FILE, layout, affine_values(), r_max=reference.r_max, d_max=reference.d_max, **chosen)


@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
@pytest.mark.parametrize("average", ["deviation", "variance", "unbiased_variance"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_five_steps_and_a_prediction_equal_the_algorithm(layout, average, hybridize):
    reference = Reference(average)
    host = host_of(reference, layout, hybridize=hybridize)
    values = affine_values()
    clipped = []
    for seed in range(5):
        x, dy = inputs(layout, seed, mean=0.2 * seed)
        r, d = reference.corrections(x)
        clipped += [*(np.isin(r, (1 / 1.4, 1.4))), *(np.abs(d) == 0.3)]
        done = host(x, dy)
        close(done.y, reference.train(x, **values, r=r, d=d))
        reference.move(x)
        close(host.value("running_mean"), reference.mean, 2e-6)
        close(host.value("running_spread"), reference.spread, 5e-6)
        assert host.value("steps").tolist() == [seed + 1]
    assert 0.1 < np.mean(clipped) < 0.9  # the bounds hold for some channels, not for all
    # r and d are constants to the gradient
    close(done.dx, numeric_gradient(lambda point: reference.train(point, **values, r=r, d=d), x, dy))
    for name, gradient in done.gradients.items():
        expected = numeric_gradient(
            lambda point, name=name: reference.train(x, **{**values, name: point}, r=r, d=d), values[name], dy
        )
        close(gradient, expected)
    predicted = host(x, dy, training=False)
    close(predicted.y, reference.predict(x, **values))
    close(predicted.dx, dy * per_channel(values["gamma"] / reference.sigma, x))
    assert host.value("steps").tolist() == [5]


def test_before_the_bounds_are_relaxed_it_is_batch_norm():
    reference = Reference(r_max=1.0, d_max=0.0)
    host = Host(FILE, values=affine_values())
    for seed in range(3):
        x, _ = inputs("NCHW", seed)
        close(host(x).y, reference.train(x, **affine_values(), r=np.ones(8), d=np.zeros(8)))


@pytest.mark.parametrize(
    ("steps_before", "r_max", "d_max"),
    [(0, 1.0, 0.0), (9, 1.0, 0.0), (14, 1.5, 2.5), (19, 2.0, 5.0), (24, 2.5, 5.0), (29, 3.0, 5.0), (99, 3.0, 5.0)],
)
def test_bounds_are_relaxed_linearly_by_the_count_of_steps(steps_before, r_max, d_max):
    host = Host(FILE, relax_from=10, d_max_from=20, r_max_from=30, values={"steps": [steps_before]})
    reference = Reference(r_max=r_max, d_max=d_max)
    x = 40 + 20 * inputs("NCHW")[0]  # far from the running statistics, so that both bounds are met
    r, d = reference.corrections(x)
    assert (r == r_max).all()
    assert (d == d_max).all()
    close(host(x).y, reference.train(x, np.ones(8), np.zeros(8), r, d))


def test_a_schedule_that_ends_before_it_starts_is_refused():
    with pytest.raises(SpecError, match="r_max_from 10 comes before relax_from 5000"):
        Host(FILE, r_max_from=10)
    with pytest.raises(SpecError, match="d_max_from 10 comes before relax_from 20"):
        Host(FILE, relax_from=20, d_max_from=10)


def test_devices_have_their_own_state():
    host = Host(FILE, devices=2)
    host(inputs("NCHW")[0], device=1)
    assert host.value("steps", 0).tolist() == [0]
    assert host.value("steps", 1).tolist() == [1]
