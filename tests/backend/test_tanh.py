"""tanh by the logistic function: the same values, with factors and offsets in the layers before and after it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normlab.backend.mxnet import mxnet
from normlab.backend.passes import tanh as tanh_pass
from normlab.backend.passes.tanh import use_sigmoid
from normlab.ops.channelwise import table_standardize

mx = mxnet()
sym = mx.sym
X = sym.var("x")


@pytest.fixture(autouse=True)
def _small_ones_too(monkeypatch):
    monkeypatch.setattr(tanh_pass, "MINIMUM_SIZE", 1)


def dense(x, name, units=4, **options):
    bias = [] if options.get("no_bias") else [sym.var(f"{name}_bias")]
    return sym.FullyConnected(x, sym.var(f"{name}_weight"), *bias, num_hidden=units, **options)


def tanh(x):
    return sym.Activation(x, act_type="tanh")


def standardized(x, columns=4):
    gamma, beta = (sym.var(name, shape=(columns,)) for name in ("gamma", "beta"))
    return table_standardize(sym, x, gamma, beta, 1e-3)


def both(graph, shape=(50, 6)):
    """The outputs of a graph as it is and rewritten, and the operators of the rewritten one."""
    shapes = dict(zip(graph.list_arguments(), graph.infer_shape(x=shape)[0]))
    rng = np.random.default_rng(0)
    values = {name: mx.nd.array(rng.normal(size=size)) for name, size in shapes.items()}
    rewritten = use_sigmoid(graph, shapes)
    outputs = []
    for each in (graph, rewritten):
        result = mx.nd.CachedOp(each)(*[values[name] for name in each.list_inputs()])
        outputs.append([array.asnumpy() for array in (result if isinstance(result, list) else [result])])
    nodes = [node for node in json.loads(rewritten.tojson())["nodes"] if node["op"] != "null"]
    return (*outputs, [node.get("attrs", {}).get("act_type", node["op"]) for node in nodes])


@pytest.mark.parametrize(
    "graph",
    [
        dense(tanh(dense(X, "a")), "b", 3),
        dense(tanh(dense(X, "a", no_bias=True)), "b", 3, no_bias=True),
        dense(tanh(dense(tanh(dense(X, "a")), "b")), "c"),
        dense(standardized(tanh(dense(X, "a"))), "b"),
        standardized(tanh(dense(X, "a"))),
        sym.Group([dense(tanh(dense(X, "a")), "b"), dense(X, "c")]),
        dense(sym.slice_axis(tanh(dense(X, "a")), axis=1, begin=1, end=3), "b"),
        sym.square(tanh(dense(X, "a"))),
        sym.broadcast_sub(tanh(dense(X, "a")), sym.var("row", shape=(1, 4))),
        sym.slice_axis(tanh(dense(X, "a")), axis=1, begin=1, end=3),
        sym.dot(sym.ones_like(dense(X, "a")), tanh(dense(X, "a")), transpose_a=True),
    ],
    ids=range(11),
)
def test_tanh_is_replaced_and_values_stay_the_same(graph):
    plain, rewritten, operators = both(graph)
    assert "tanh" not in operators
    assert "sigmoid" in operators
    for one, other in zip(plain, rewritten):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=3e-6)


def test_no_pass_over_activations_is_added_before_dense_layers_and_standardization():
    standard = dense(standardized(tanh(dense(X, "a"))), "b")
    _, _, operators = both(standard)
    before = [node["op"] for node in json.loads(standard.tojson())["nodes"]]
    added = set(operators) - set(before)
    assert added <= {"sigmoid", "_mul_scalar"}
    # the weight and the bias before, the variance, and what is left of it: the factor of the standardized values
    assert operators.count("_mul_scalar") <= 4


@pytest.mark.parametrize(
    "graph",
    [
        tanh(dense(X, "a")),  # an output of the graph
        dense(tanh(X), "a"),  # no dense layer before it
        sym.relu(tanh(dense(X, "a"))),  # no linear operator after it
        dense(sym.Activation(dense(X, "a"), act_type="relu"), "b"),
    ],
    ids=range(4),
)
def test_tanh_without_suitable_neighbours_is_kept(graph):
    plain, rewritten, operators = both(graph)
    assert "sigmoid" not in operators
    for one, other in zip(plain, rewritten):
        np.testing.assert_array_equal(one, other)


def test_layer_with_another_user_keeps_its_weights():
    layer = dense(X, "a")
    plain, rewritten, operators = both(sym.Group([dense(tanh(layer), "b"), layer]))
    assert "tanh" in operators
    for one, other in zip(plain, rewritten):
        np.testing.assert_array_equal(one, other)


def test_small_tanh_is_kept(monkeypatch):
    monkeypatch.setattr(tanh_pass, "MINIMUM_SIZE", 201)
    _, _, operators = both(dense(tanh(dense(X, "a")), "b"))
    assert "tanh" in operators


def test_saturated_units_keep_their_small_variance():
    wide = dense(standardized(tanh(dense(X, "a"))), "b")
    shapes = dict(zip(wide.list_arguments(), wide.infer_shape(x=(5000, 6))[0]))
    rng = np.random.default_rng(1)
    values = {name: mx.nd.array(rng.normal(size=size)) for name, size in shapes.items()}
    values["a_bias"] = mx.nd.array([6.0, -6.0, 8.0, 0.0])
    plain, rewritten = (
        mx.nd.CachedOp(each)(*[values[name] for name in each.list_inputs()]).asnumpy()
        for each in (wide, use_sigmoid(wide, shapes))
    )
    np.testing.assert_allclose(rewritten, plain, rtol=1e-4, atol=2e-4)
