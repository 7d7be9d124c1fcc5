"""Virtual batch norm: who is the reference, how it is mixed with each example, what is kept of it."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, per_channel

FILE = "statistics/virtual_batch.py"
EPSILON = 1e-5


def own(x):
    axes = tuple(range(2, x.ndim))
    return (x.mean(axes), (x**2).mean(axes)) if axes else (x, x**2)


def standardized(x, mean, square):
    shape = mean.shape + (1,) * (x.ndim - 2)
    return (x - mean.reshape(shape)) / np.sqrt((square - mean**2).reshape(shape) + EPSILON)


def joined(count):
    """The first `count` examples are the reference, and the others are added to it, one at a time."""

    def formula(x, gamma, beta):
        means, squares = own(x)
        mean, square = (value[:count].mean(0, keepdims=True) for value in (means, squares))
        first = standardized(x[:count], mean, square)
        others = formula_with(mean, square, count)(x[count:], np.ones(8), np.zeros(8))
        return per_channel(gamma, x) * np.concatenate([first, others]) + per_channel(beta, x)

    return formula


def formula_with(mean, square, count):
    """Each example is added to a reference with these moments."""

    def formula(x, gamma, beta):
        means, squares = own(x)
        mixed = ((value + count * kept) / (count + 1) for value, kept in ((means, mean), (squares, square)))
        return per_channel(gamma, x) * standardized(x, *mixed) + per_channel(beta, x)

    return formula


@pytest.mark.parametrize("layout", ["NC", "NCHW", "NTC"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_the_first_examples_are_the_reference_of_the_others(layout, hybridize):
    values = affine_values()
    host = Host(FILE, layout, values, reference=3, hybridize=hybridize)
    x, dy = inputs(layout, shape=(7, *inputs(layout)[0].shape[1:]))
    equal_formula(host, joined(3), x, dy, values, training=True)
    mean, square = (value[:3].mean(0) for value in own(x))
    close(host.value("reference_mean"), mean)
    close(host.value("reference_square"), square)
    equal_formula(host, formula_with(mean, square, 3), x, dy, values, training=False)


def test_where_the_batch_has_no_more_examples_all_are_the_reference():
    x, _ = inputs("NCHW")
    few, all_of_them = (Host(FILE, reference=count)(x).y for count in (4, 50))
    close(few, joined(4)(x, np.ones(8), np.zeros(8)))
    assert np.array_equal(few, all_of_them)


@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_a_reference_chosen_once_stays_what_it_was_at_the_first_step(hybridize):
    host = Host(FILE, reference=2, choose="once", hybridize=hybridize)
    plain = {"gamma": np.ones(8), "beta": np.zeros(8)}
    first, dy = inputs("NCHW", 0)
    equal_formula_at_first = host(first, dy)
    close(equal_formula_at_first.y, joined(2)(first, **plain))
    mean, square = (value[:2].mean(0) for value in own(first))
    for seed in (1, 2):
        x, dy = inputs("NCHW", seed)
        equal_formula(host, formula_with(mean, square, 2), x, dy, plain, training=True)
    close(host.value("reference_mean"), mean)
    assert host.value("captured").tolist() == [1]


def test_only_a_reference_that_is_chosen_once_has_to_remember_that_it_was():
    assert "captured" not in Host(FILE).names
