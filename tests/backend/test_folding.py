"""Folding scales and shifts into adjacent layers keeps the values, with fewer passes over activations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normlab.api import run
from normlab.backend.mxnet import mxnet
from normlab.backend.passes.folding import fold_affine
from normlab.ops.channelwise import table_standardize
from normlab.spec import parse_spec

mx = mxnet()
sym = mx.sym
RNG = np.random.default_rng(0)


def batch_norm(x, name="bn", **options):
    statistics = [sym.var(f"{name}_{part}") for part in ("gamma", "beta", "mean", "var")]
    return sym.BatchNorm(x, *statistics, **{"eps": 1e-3, "use_global_stats": True, "fix_gamma": False, **options})


def convolution(x, name="conv", **options):
    bias = [] if options.get("no_bias") else [sym.var(f"{name}_bias")]
    return sym.Convolution(x, sym.var(f"{name}_weight"), *bias, num_filter=4, kernel=(3, 3), **options)


def dense(x, name="dense", units=4, **options):
    bias = [] if options.get("no_bias") else [sym.var(f"{name}_bias")]
    return sym.FullyConnected(x, sym.var(f"{name}_weight"), *bias, num_hidden=units, **options)


def both(graph, shape=(5, 3, 6, 6)):
    """Return the outputs of a graph before and after folding, and the operators after it."""
    known, aux = graph.infer_shape(x=shape)[0], graph.infer_shape(x=shape)[2]
    shapes = {
        **dict(zip(graph.list_arguments(), known)),
        **dict(zip(graph.list_auxiliary_states(), aux)),
    }
    values = {
        name: mx.nd.array(RNG.uniform(0.5, 1.5, size) if name.endswith("var") else RNG.normal(size=size))
        for name, size in shapes.items()
    }
    small = fold_affine(graph, shapes)
    outputs = []
    for each in (graph, small):
        result = mx.nd.CachedOp(each)(*[values[name].copy() for name in each.list_inputs()])
        outputs.append([array.asnumpy() for array in (result if isinstance(result, list) else [result])])
    operators = [node["op"] for node in json.loads(small.tojson())["nodes"] if node["op"] != "null"]
    return (*outputs, operators)


X = sym.var("x")


@pytest.mark.parametrize(
    "graph",
    [
        batch_norm(convolution(X)),
        batch_norm(convolution(X, no_bias=True)),
        batch_norm(convolution(X, no_bias=True), eps=0.1),
        batch_norm(dense(X)),
        batch_norm(dense(X, no_bias=True)),
        dense(sym.relu(batch_norm(convolution(X))), "after"),
        dense(batch_norm(sym.relu(dense(X))), "after", units=7),
        dense(batch_norm(sym.relu(dense(X))), "after", units=7, no_bias=True),
        batch_norm(dense(batch_norm(dense(X), "bn1"), "dense1"), "bn2"),
    ],
    ids=range(9),
)
def test_batch_norm_with_given_statistics_is_folded_into_the_adjacent_layer(graph):
    plain, small, operators = both(graph)
    assert "BatchNorm" not in operators
    np.testing.assert_allclose(small[0], plain[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "graph",
    [
        batch_norm(sym.relu(convolution(X))),  # no layer next to it
        dense(batch_norm(sym.relu(convolution(X))), "after"),  # its inputs are flattened images
        batch_norm(dense(X, flatten=False)),  # channels are on another axis
        batch_norm(convolution(X), axis=2),
        batch_norm(convolution(X), use_global_stats=False),
    ],
    ids=range(5),
)
def test_other_batch_norms_are_kept(graph):
    shape = (5, 4, 3) if "flatten" in graph.tojson() else (5, 3, 6, 6)
    plain, small, operators = both(graph, shape)
    assert "BatchNorm" in operators
    np.testing.assert_array_equal(small[0], plain[0])


def test_layer_with_another_user_is_kept():
    layer = convolution(X)
    plain, small, operators = both(sym.Group([batch_norm(layer), layer]))
    assert "BatchNorm" in operators
    for one, other in zip(plain, small):
        np.testing.assert_array_equal(one, other)


def test_batch_norm_with_fixed_gamma_is_kept():
    _, _, operators = both(batch_norm(convolution(X), fix_gamma=True))
    assert "BatchNorm" in operators


def test_scale_of_columns_is_folded_into_the_next_layer():
    table = table_standardize(sym, sym.tanh(dense(X)), sym.var("gamma", shape=(4,)), sym.var("beta", shape=(4,)), 1e-3)
    plain, small, operators = both(dense(table, "after", units=7))
    assert "broadcast_add" not in operators
    np.testing.assert_allclose(small[0], plain[0], rtol=1e-4, atol=1e-4)


def test_scale_of_rows_is_kept():
    rows = sym.sum(dense(X), axis=1, keepdims=True)
    scaled = sym.broadcast_add(sym.broadcast_mul(dense(X), rows), rows)
    plain, small, operators = both(dense(scaled, "after"))
    assert "broadcast_add" in operators
    np.testing.assert_array_equal(small[0], plain[0])


SPEC = """
name: folded
dataset: {name: synthetic, shape: [3, 8, 8], classes: 4, train: 128, test: 64}
model: {name: resnet, depth: 8}
norm: batch
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 6, batch_size: 32}
evaluation: {every: 2, batch_size: 64}
device: cpu
"""


@pytest.mark.parametrize("override", ["model={name: resnet, depth: 8}", "model={name: mlp, hidden: [16, 16]}"])
@pytest.mark.parametrize("norm", ["batch", "{name: batch, predict: batch}"])
def test_run_has_the_same_scores_as_an_imperative_one(tmp_path, override, norm):
    histories = [
        run(parse_spec(SPEC, "folded.yaml", [override, f"norm={norm}", f"hybridize={way}"]), out=tmp_path)
        for way in ("true", "false")
    ]
    for split in ("train", "test"):
        np.testing.assert_allclose(*[history.loss(split) for history in histories], rtol=2e-3)
