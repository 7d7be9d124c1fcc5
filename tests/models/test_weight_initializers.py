"""Initializers by name: the distributions that they draw from, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from models_support import network, plugin

from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import check
from normlab.models.weight_initializers import NAMED, to_initializer
from normlab.spec import Part
from normlab.training.randomness import keyed

mx = mxnet()
SHAPE = (200, 100)


def drawn(name, shape=SHAPE, seed=0, **parameters):
    """Draw a weight as a network does."""
    weight = mx.gluon.Parameter("weight", shape=shape)
    with keyed(seed, "initialize", "weight"):
        weight.initialize(init=to_initializer(Part(name=name, parameters=parameters)))
    return weight.data().asnumpy()


@pytest.mark.parametrize(
    ("name", "parameters", "deviation"),
    [
        ("normal", {"sigma": 0.3}, 0.3),
        ("uniform", {"scale": 0.3}, 0.3 / np.sqrt(3)),
        # the variance of a standard normal distribution truncated at 2 is 0.7737
        ("truncated_normal", {"sigma": 0.1}, 0.1 * np.sqrt(0.7737)),
        ("xavier", {}, np.sqrt(3 / ((200 + 100) / 2) / 3)),
        ("xavier", {"distribution": "gaussian", "factor": "in", "magnitude": 2.0}, np.sqrt(2 / 100)),
        ("he", {}, np.sqrt(2 / 100)),
        ("he", {"factor": "out", "slope": 1.0}, np.sqrt(1 / 200)),
        ("lecun", {}, np.sqrt(1 / 100)),
    ],
)
def test_draws_have_the_deviation_of_the_formula(name, parameters, deviation):
    values = drawn(name, **parameters)
    assert values.std() == pytest.approx(deviation, rel=0.03)
    assert abs(values.mean()) < 0.05 * deviation


@pytest.mark.parametrize(
    ("name", "parameters", "value"), [("zeros", {}, 0), ("ones", {}, 1), ("constant", {"value": 0.25}, 0.25)]
)
def test_constants_are_constant(name, parameters, value):
    assert (drawn(name, **parameters) == value).all()


@pytest.mark.parametrize("cut", [1.0, 2.0])
def test_truncated_normal_has_no_values_beyond_the_cut(cut):
    values = drawn("truncated_normal", sigma=0.5, cut=cut)
    assert np.abs(values).max() <= 0.5 * cut
    assert np.abs(values).max() > 0.49 * cut


def test_orthogonal_rows_are_orthogonal():
    values = drawn("orthogonal", (40, 60), scale=2.0)
    np.testing.assert_allclose(values @ values.T, 4 * np.eye(40), atol=1e-4)


@pytest.mark.parametrize("name", ["normal", "uniform", "truncated_normal", "xavier", "he", "lecun", "orthogonal"])
def test_draws_depend_only_on_the_key(name):
    first = drawn(name, (20, 30))
    np.random.seed(99)
    mx.nd.random.normal(shape=(5,)).wait_to_read()
    assert (drawn(name, (20, 30)) == first).all()
    assert (drawn(name, (20, 30), seed=1) != first).any()


def test_every_initializer_has_a_docstring():
    assert all(function.__doc__ for function in NAMED.values())


def checked(value):
    model = plugin("resnet")
    return check(model.factories, {"weight_initializer": value})["weight_initializer"]


def test_a_spec_can_contain_a_name_or_a_mapping():
    assert checked("zeros") == Part(name="zeros", parameters={})
    assert checked({"name": "normal", "sigma": 0.5}).parameters == {"sigma": 0.5}
    # defaults are filled in, so that the stored spec is complete
    assert checked("he").parameters == {"factor": "in", "slope": 0.0}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hee", "unknown initializer 'hee'; did you mean 'he'?"),
        ({"name": "normal", "sigma": -1.0}, "initializer 'normal': sigma"),
        ({"name": "normal", "sigmma": 1.0}, "initializer 'normal': sigmma"),
        ({"name": "constant"}, "initializer 'constant': value"),
    ],
)
def test_mistakes_are_reported_before_anything_is_built(value, words):
    with pytest.raises(ValueError, match="initializer") as refused:
        checked(value)
    assert words in str(refused.value)


def test_the_mlp_has_a_bias_initializer():
    net = network("mlp", "none", (1, 4, 4), hidden=[8], bias_initializer={"name": "constant", "value": 0.5})
    biases = [p.data().asnumpy() for name, p in net.parameters.items() if name.endswith("bias")]
    assert len(biases) == 2
    assert all((bias == 0.5).all() for bias in biases)
