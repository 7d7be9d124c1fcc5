"""Weight norm and weight standardization against their formulas in NumPy, and inside layers."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, close, equal_formula, mx, norm

from normlab.backend.graph import Graph
from normlab.catalog.signature import check
from normlab.errors import SpecError
from normlab.models.weights import normalize_weights
from normlab.spec import Part

NORM, STANDARDIZATION = "weights/weight_norm.py", "weights/weight_standardization.py"
SHAPES = {"dense": (8, 12), "conv": (8, 3, 3, 2)}


def rows(weight):
    return weight.reshape(len(weight), -1)


def normed(weight, g, epsilon=1e-12):
    flat = rows(weight)
    return (g[:, None] * flat / np.sqrt((flat**2).sum(1, keepdims=True) + epsilon)).reshape(weight.shape)


def standardized(epsilon=1e-5, *, inside=True, ddof=0):
    def formula(weight):
        flat = rows(weight)
        var = flat.var(1, ddof=ddof, keepdims=True)
        root = np.sqrt(var + epsilon) if inside else np.sqrt(var) + epsilon
        return ((flat - flat.mean(1, keepdims=True)) / root).reshape(weight.shape)

    return formula


CASES = {
    "norm": (NORM, {}, normed),
    "norm-epsilon": (NORM, {"epsilon": 0.5}, lambda weight, g: normed(weight, g, 0.5)),
    "standardization": (STANDARDIZATION, {}, standardized()),
    "standardization-epsilon": (STANDARDIZATION, {"epsilon": 0.5}, standardized(0.5)),
    "standardization-unbiased": (STANDARDIZATION, {"epsilon": 0.5, "unbiased": True}, standardized(0.5, ddof=1)),
    "standardization-outside": (
        STANDARDIZATION,
        {"epsilon": 0.5, "epsilon_inside": False},
        standardized(0.5, inside=False),
    ),
    "standardization-first-version": (
        STANDARDIZATION,
        {"epsilon_inside": False, "unbiased": True},
        standardized(inside=False, ddof=1),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_weight_and_gradients_equal_the_formula(case, shape, hybridize, training):
    file, options, formula = CASES[case]
    random = np.random.default_rng(2)
    weight, dy = random.normal(0.2, 0.6, (2, *SHAPES[shape]))
    values = {"g": random.uniform(0.5, 2, 8)} if file is NORM else {}
    host = Host(file, values=values, hybridize=hybridize, **options)
    equal_formula(host, formula, weight, dy, values, training=training)


@pytest.mark.parametrize(
    ("file", "options"), [(NORM, {}), (STANDARDIZATION, {}), (STANDARDIZATION, {"epsilon_inside": False})]
)
def test_a_unit_of_equal_weights_stays_finite(file, options):
    weight = np.zeros((8, 12))
    done = Host(file, **options)(weight, weight + 1)
    assert (done.y == 0).all()
    assert np.isfinite(done.dx).all()


def test_weight_norm_starts_from_the_weight_as_it_was_drawn():
    weight = np.random.default_rng(0).normal(0, 0.05, (8, 3, 3, 3)).astype("float32")
    g = norm(NORM).weight(out_channels=8).start(weight)["g"]
    np.testing.assert_allclose(g, np.linalg.norm(rows(weight), axis=1), rtol=1e-6)
    np.testing.assert_allclose(Host(NORM, values={"g": g})(weight).y, weight, rtol=1e-6)


def layers_of(weights=()):
    """A convolution and a dense layer, with these weights if they are given."""
    block = mx.gluon.nn.HybridSequential()
    block.add(mx.gluon.nn.Conv2D(8, 3, in_channels=2), mx.gluon.nn.Dense(8, in_units=8 * 4 * 4))
    block.initialize(mx.init.Normal(0.3))
    for layer, weight in zip(block, weights):
        layer.weight.set_data(mx.nd.array(weight))
    return block


@pytest.mark.parametrize("file", [NORM, STANDARDIZATION])
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_layers_compute_with_the_weight_that_it_gives(file, hybridize):
    block = layers_of()
    drawn = [layer.weight.data().asnumpy() for layer in block]
    # weight norm starts from the weights as they are
    plain = layers_of(drawn if file is NORM else [standardized()(weight.astype("float64")) for weight in drawn])
    registered = norm(file)
    for _, layer in normalize_weights(block, [Part.resolved(registered, check(registered.factories, {}))]):
        layer.collect_params(".*_g").initialize()
        layer.start()
    graph = Graph(lambda _, x: block(x), block.collect_params().values(), training=True, hybridize=hybridize)
    x = mx.nd.random.normal(shape=(5, 2, 6, 6))
    close(graph(x)[0].asnumpy(), plain(x).asnumpy(), 1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_units_of_a_transposed_convolution_are_its_outputs(groups):
    """The weight of Gluon's transposed convolution is (in, out / groups, rows, columns)."""
    layer = mx.gluon.nn.Conv2DTranspose(4, 3, in_channels=6, groups=groups)
    block = mx.gluon.nn.HybridSequential()
    block.add(layer)
    block.initialize(mx.init.Normal(0.3))
    drawn = layer.weight.data().asnumpy().astype("float64")
    registered = norm(NORM)
    ((_, weighted),) = normalize_weights(block, [Part.resolved(registered, check(registered.factories, {}))])
    weighted.collect_params(".*_g").initialize()
    weighted.start()
    (g,) = (parameter for name, parameter in weighted.method_parameters().items() if name.endswith(".g"))
    v = np.concatenate(  # of each group: its inputs, its outputs
        [part.transpose(1, 0, 2, 3).reshape(4 // groups, -1) for part in np.split(drawn, groups)]
    )
    norms = np.sqrt((v**2).sum(axis=1))
    assert g.shape == (4,)
    close(g.data().asnumpy(), norms, 1e-5)
    # at its start the weight is v itself
    x = mx.nd.random.normal(shape=(2, 6, 5, 5))
    plain = mx.gluon.nn.Conv2DTranspose(4, 3, in_channels=6, groups=groups)
    plain.initialize()
    plain.weight.set_data(mx.nd.array(drawn))
    close(block(x).asnumpy(), plain(x).asnumpy(), 1e-4)


def test_training_a_transposed_convolution_is_refused_since_mxnet_crashes():
    block = mx.gluon.nn.HybridSequential()
    block.add(mx.gluon.nn.Conv2DTranspose(4, 3, in_channels=7))
    block.initialize()
    registered = norm(STANDARDIZATION)
    normalize_weights(block, [Part.resolved(registered, check(registered.factories, {}))])
    with mx.autograd.record(), pytest.raises(SpecError, match="transposed convolution"):
        block(mx.nd.ones((1, 7, 4, 4)))
