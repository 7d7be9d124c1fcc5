"""Tiles skip zeros only, and every example comes out in its own row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normlab.api import run
from normlab.backend.mxnet import mxnet
from normlab.backend.passes.tiling import InputNames, TileNames, compute_positions, cut, use_tiles
from normlab.datasets import mnist
from normlab.ops.channelwise import ones_for_rows, table_standardize
from normlab.spec import parse_spec
from normlab.training import evaluation

mx = mxnet()
sym = mx.sym
RNG = np.random.default_rng(0)
X = sym.var("x")


def sparse(rows=400, features=30, dtype=np.uint8):
    """Each example uses a block of features near the middle."""
    table = np.zeros((rows, features), dtype)
    for row in table:
        first, last = sorted(np.clip(RNG.normal(features / 2, features / 8, 2).astype(int), 0, features - 1))
        row[first : last + 1] = RNG.integers(1, 256, last + 1 - first)
    return table


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("count", [2, 7, 16])
def test_every_example_is_in_one_tile_with_all_inputs_that_it_uses(count, dtype):
    table = sparse(dtype=dtype)
    table[3] = 0  # uses nothing at all
    tiles = cut(table, count)
    assert tiles is not None
    assert len(tiles) == count
    assert sorted(np.concatenate([tile.rows for tile in tiles])) == list(range(len(table)))
    for tile in tiles:
        left_out = np.delete(table[tile.rows], tile.columns, axis=1)
        assert len(tile.rows)
        assert len(tile.columns)
        assert not left_out.any()


def test_more_tiles_skip_more_inputs():
    table = sparse()
    products = [sum(len(rows) * len(columns) for rows, columns in cut(table, count)) for count in (2, 4, 16)]
    assert products == sorted(products, reverse=True)
    assert products[-1] < 0.7 * table.size


def test_tiles_of_mnist_skip_nearly_half_of_the_products():
    split = mnist.mnist(limit=2000).splits["train"]
    table = split.images.reshape(len(split), -1)
    tiles = cut(table, 16)
    assert sum(len(rows) * len(columns) for rows, columns in tiles) < 0.58 * table.size


def test_inputs_without_zeros_are_not_tiled():
    assert cut(RNG.integers(1, 256, (100, 20), dtype=np.uint8), 4) is None
    assert cut(RNG.normal(size=(100, 20)).astype(np.float32), 4) is None


def in_graph(graph, table, count=4):
    """The outputs of a graph as it is and in tiles, and the operators of the latter."""
    shapes = dict(zip(graph.list_arguments(), graph.infer_shape(x=table.shape)[0]))
    values = {name: mx.nd.array(RNG.normal(size=size)) for name, size in shapes.items()}
    if "labels" in values:
        values["labels"] = mx.nd.array(RNG.integers(0, 5, len(table)))
    values["x"] = mx.nd.array(table, dtype=table.dtype)
    tiles = cut(table.reshape(len(table), -1), count)
    names = [TileNames(f"values{index}", f"columns{index}", f"rows{index}") for index in range(count)]
    small = use_tiles(graph, shapes, InputNames("x", "labels", names, "positions"))
    factor = np.float32(1 / 255) if table.dtype == np.uint8 else np.float32(1)
    for (value, column, rows), tile in zip(names, tiles):
        own = table.reshape(len(table), -1)[tile.rows][:, tile.columns]
        values[value] = mx.nd.array(own.astype(np.float32) * factor)
        values[column] = mx.nd.array(tile.columns, dtype="int32")
        values[rows] = mx.nd.array(tile.rows, dtype="int32")
    values["positions"] = mx.nd.array(compute_positions(tiles), dtype="int32")
    outputs = []
    for each in (graph, small):
        result = mx.nd.CachedOp(each)(*[values[name] for name in each.list_inputs()])
        outputs.append([array.asnumpy() for array in (result if isinstance(result, list) else [result])])
    return (*outputs, [node["op"] for node in json.loads(small.tojson())["nodes"]], small.list_inputs())


def dense(x, name="dense", **options):
    bias = [] if options.get("no_bias") else [sym.var(f"{name}_bias")]
    return sym.FullyConnected(x, sym.var(f"{name}_weight"), *bias, num_hidden=5, **options)


def of_bytes(x):
    return sym.BlockGrad(sym.cast(x, dtype="float32") * (1 / 255))


@pytest.mark.parametrize(
    ("graph", "dtype"),
    [
        (dense(X), np.float32),
        (dense(X, no_bias=True), np.float32),
        (sym.relu(dense(dense(X), "after")), np.float32),
        (sym.Group([dense(X), dense(X, "other")]), np.float32),
        (dense(of_bytes(X)), np.uint8),
    ],
    ids=range(5),
)
@pytest.mark.parametrize("shape", [(-1, 30), (-1, 1, 5, 6)], ids=["table", "images"])
def test_dense_layer_of_tiles_gives_the_same_values(graph, dtype, shape):
    plain, small, operators, inputs = in_graph(graph, sparse(dtype=dtype).reshape(shape))
    assert "concat" in [op.lower() for op in operators]
    assert "x" not in inputs
    for one, other in zip(plain, small):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "graph",
    [
        dense(sym.relu(X)),
        sym.Group([dense(X), sym.sum(X)]),
        dense(X, flatten=False),
        sym.Group([X]),
    ],
    ids=range(4),
)
def test_graph_is_unchanged_if_anything_but_a_dense_layer_uses_the_examples(graph):
    _, _, _, inputs = in_graph(graph, sparse(dtype=np.float32))
    assert "x" in inputs


LABELS = sym.var("labels", shape=(400,))


def right(outputs):
    return sym.sum(sym.argmax(outputs, axis=1) == LABELS)


def mixed(x):
    """Each row plus the one half a table before or after it."""
    halves = sym.reshape(x, shape=(2, -1, 5))
    return x + sym.reshape(sym.reverse(halves, axis=0), shape=(-1, 5))


def shifted(x, ones):
    """Each row less the mean row, by a product."""
    return sym.linalg_gemm(ones, sym.dot(ones_for_rows(sym, x), x, transpose_a=True) / 400, x, alpha=-1.0)


def divided(x):
    """Each row by its root mean square."""
    mean = sym.FullyConnected(sym.square(x), sym.ones((1, 5)) / 5, no_bias=True, num_hidden=1)
    return x * sym.FullyConnected(sym.rsqrt(mean + 1e-3), sym.ones((5, 1)), no_bias=True, num_hidden=5)


@pytest.mark.parametrize(
    ("graph", "restores"),
    [
        (right(dense(X)), False),
        (right(shifted(dense(X), ones_for_rows(sym, dense(X)))), False),
        (right(shifted(dense(X), sym.ones((400, 1)))), True),
        (right(table_standardize(sym, dense(X), sym.ones(5), sym.ones(5), 1e-3)), False),
        (sym.sum(sym.pick(sym.log_softmax(dense(X), axis=-1), LABELS, axis=-1)), False),
        (right(divided(dense(X))), False),
        (right(mixed(dense(X))), True),
        (sym.Group([dense(X), right(dense(X))]), True),
        (right(sym.dot(sym.dot(dense(X), dense(X), transpose_b=True), sym.ones((400, 5)))), True),
        (right(sym.broadcast_add(dense(X), sym.slice_axis(dense(X), axis=0, begin=0, end=1))), True),
        (right(sym.broadcast_sub(dense(X), sym.sum(dense(X), axis=0, keepdims=True))), True),
        (sym.sum(sym.FullyConnected(sym.ones((3, 5)), sym.relu(dense(X)), num_hidden=400, no_bias=True)), True),
        (right(dense(X) * sym.var("weights_of_rows", shape=(400, 5))), True),
    ],
    ids=range(13),
)
def test_order_of_rows_is_restored_only_where_it_matters(graph, restores):
    plain, small, _, inputs = in_graph(graph, sparse(dtype=np.float32))
    assert ("positions" in inputs) == restores
    for one, other in zip(plain, small):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


SPEC = """
name: tiles
dataset: {name: mnist, limit: 2100, validation: 10}
model: {name: mlp, hidden: [12, 8], activation: tanh}
norm: {name: batch, predict: batch}
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 4, batch_size: 32}
evaluation: {every: 2, batch_size: all}
device: cpu
"""


def histories(out, monkeypatch, *overrides):
    """A run in tiles, one without, and one operator by operator."""
    for least, hybridize in ((1000, "true"), (10_000, "true"), (1000, "false")):
        monkeypatch.setattr(evaluation.tiling, "MINIMUM_EXAMPLES", least)
        spec = parse_spec(SPEC, "tiles.yaml", [f"hybridize={hybridize}", *overrides])
        yield run(spec, out=out / f"{least}{hybridize}")


@pytest.mark.parametrize(
    "norm",
    [
        "none",
        "layer",
        "rms",
        "l2",
        "scale_norm",
        "dyt",
        "derf",
        "{name: batch, predict: batch}",
        "weight_norm",
        "ghost_batch",
    ],
)
def test_run_in_tiles_has_the_same_scores(tmp_path, monkeypatch, norm):
    in_tiles, without, imperative = histories(tmp_path, monkeypatch, f"norm={norm}")
    assert without.result.parameters_digest == in_tiles.result.parameters_digest
    for other in (without, imperative):
        for split in ("train", "test"):
            np.testing.assert_allclose(in_tiles.loss(split), other.loss(split), rtol=1e-4)


def test_tiles_are_used_only_for_dense_networks_on_whole_splits_of_bytes(tmp_path, monkeypatch):
    seen = []
    original = evaluation._cut_into_tiles
    monkeypatch.setattr(evaluation, "_cut_into_tiles", lambda *given: seen.append(original(*given)) or seen[-1])
    for override in ("norm=none", "model={name: lenet}", "evaluation.batch_size=500", "augmentation=[standardize]"):
        run(parse_spec(SPEC, "tiles.yaml", [override]), out=tmp_path)
    assert len(seen) == 1
    assert [len(arrays) for arrays in seen[0].values()] == [7, 7]  # two tiles: values, columns, rows, and the positions
