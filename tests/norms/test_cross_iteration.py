"""Cross-iteration batch normalization: what its stored cases do not show."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import close, mx, norm

from normlab.backend.graph import Graph
from normlab.models.tree import sequence

FILE = "statistics/cross_iteration_batch.py"
nn = mx.gluon.nn


class Layered:
    """A dense layer or a 3x3 convolution with the norm after it, float64."""

    def __init__(self, layout="NCHW", *, hybridize=True, **options):
        self.layer = nn.Conv2D(8, 3, use_bias=False, in_channels=4) if layout == "NCHW" else nn.Dense(8, in_units=4)
        self.norm = norm(FILE).block(in_channels=8, layout=layout, layer_before=self.layer, **options)
        self.block = sequence([("layer", self.layer), ("norm", self.norm)])
        self.block.initialize()
        self.block.cast("float64")
        self.parameters = self.block.collect_params().values()
        self.graphs = {
            training: Graph(lambda _, x: self.block(x), self.parameters, training=training, hybridize=hybridize)
            for training in (True, False)
        }

    def put(self, weight):
        self.layer.weight.set_data(mx.nd.array(weight, dtype="float64"))

    def outputs(self, x):
        """What the layer gives."""
        with mx.autograd.pause():
            return self.layer(mx.nd.array(x, dtype="float64")).asnumpy()

    def __call__(self, x, *, training=True):
        return self.graphs[training](mx.nd.array(x, dtype="float64"))[0].asnumpy()

    def state(self, name):
        return self.norm._reg_params[name].data().asnumpy()


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(0.3, 1.0, shape)


def standardized(x, like, epsilon=1e-5):
    """x by the mean and variance of another array."""
    axes = (0, *range(2, x.ndim))
    mean, var = (getattr(like, name)(axis=axes, keepdims=True) for name in ("mean", "var"))
    return (x - mean) / np.sqrt(var + epsilon)


@pytest.mark.parametrize("layout", ["NC", "NCHW"])
def test_with_weights_that_stay_it_is_batch_norm_over_the_batches_of_the_window(layout):
    tested = Layered(layout, window=3, burn_in=0)
    batches = [drawn(seed, 5, 4, *((6, 5) if layout == "NCHW" else ())) for seed in range(5)]
    tested(batches[0])
    seen = [tested.outputs(x) for x in batches]
    close(tested(batches[1]), standardized(seen[1], np.concatenate(seen[:2])), 1e-12)
    for last in (2, 3, 4):
        close(tested(batches[last]), standardized(seen[last], np.concatenate(seen[last - 2 : last + 1])), 1e-12)


def test_in_the_burn_in_each_batch_is_on_its_own_and_the_window_begins_after_it():
    tested, plain = Layered(window=3, burn_in=2), Layered(window=3, burn_in=0)
    for seed in range(4):
        x = drawn(seed, 5, 4, 6, 5)
        y, own = tested(x), standardized(tested.outputs(x), tested.outputs(x))
        assert np.allclose(y, own, atol=1e-12) is (seed < 3)
        plain(x)
    kept = [tested.state(name) for name in ("buffer_mean", "buffer_var", "running_mean", "running_var")]
    assert all(np.isfinite(value).all() and value.any() for value in kept)
    assert tested.state("steps") == plain.state("steps") == 4


@pytest.mark.parametrize("layout", ["NC", "NCHW"])
def test_statistics_of_the_step_before_are_brought_to_the_weight_of_today(layout):
    """The mean is linear in the weights, so it is brought exactly; of the variance the square of the step is lost."""
    x = drawn(1, 5, 4, *((6, 5) if layout == "NCHW" else ()))
    shape = (8, 4, 3, 3) if layout == "NCHW" else (8, 4)
    start, direction = 0.3 * drawn(2, *shape), drawn(3, *shape)
    errors = []
    for far in (1e-2, 1e-3):
        tested = Layered(layout, window=2, burn_in=0)
        tested.put(start)
        tested(x)
        tested.put(start + far * direction)
        y, exact = tested(x), standardized(tested.outputs(x), tested.outputs(x))
        # a mean brought wrongly would move all outputs of a channel alike
        means = (y / exact).mean(axis=(0, *range(2, y.ndim)), keepdims=True)
        close(y, means * exact, 1e-12)
        errors.append(np.abs(y - exact).max())
    assert 50 < errors[0] / errors[1] < 200
    assert errors[1] < 1e-4


def test_impossible_steps_are_raised_or_left_out():
    """Far from where it was, the polynomial of the variance falls below 0."""
    x, start = drawn(1, 50, 4), drawn(2, 8, 4)
    centred = x - x.mean(0)
    ys = {}
    for way in ("raise", "leave_out"):
        tested = Layered("NC", window=2, burn_in=0, impossible=way)
        tested.put(start)
        tested(x)
        tested.put(-start)  # the slope by the weights is -4 variances, the square of the mean's comes on top
        ys[way] = tested(x)
        seen = tested.outputs(x)
    close(ys["leave_out"], standardized(seen, seen), 1e-12)
    var = ((centred @ start.T) ** 2).mean(0)
    close(ys["raise"], (seen - seen.mean(0)) / np.sqrt(var / 2 + 1e-5), 1e-12)


@pytest.mark.parametrize("hybridize", [True, False])
def test_running_statistics_are_those_of_each_batch_alone(hybridize):
    tested = Layered(window=3, burn_in=0, momentum=0.5, hybridize=hybridize)
    mean, var = np.zeros(8), np.ones(8)
    for seed in range(3):
        x = drawn(seed, 5, 4, 6, 5)
        tested(x)
        seen = tested.outputs(x)
        mean = 0.5 * mean + 0.5 * seen.mean((0, 2, 3))
        var = 0.5 * var + 0.5 * seen.var((0, 2, 3), ddof=1)
    close(tested.state("running_mean"), mean, 1e-12)
    close(tested.state("running_var"), var, 1e-12)
    expected = (seen - mean.reshape(1, 8, 1, 1)) / np.sqrt(var.reshape(1, 8, 1, 1) + 1e-5)
    close(tested(x, training=False), expected, 1e-12)


@pytest.mark.parametrize("outside", [True, False])
def test_a_channel_without_variance_has_finite_gradients(outside):
    tested = Layered("NC", window=2, burn_in=0, epsilon_inside=not outside)
    x = mx.nd.ones((4, 4), dtype="float64")
    x.attach_grad()
    for _ in range(3):
        with mx.autograd.record():
            y = tested.graphs[True](x)[0]
        y.backward()
        assert np.isfinite(y.asnumpy()).all()
        assert np.isfinite(x.grad.asnumpy()).all()
