"""Large sums and row shifts become matrix products with the same values; all others are kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normlab.backend.mxnet import mxnet
from normlab.backend.passes.matmul import MINIMUM_SIZE, use_matmul

mx = mxnet()
X = mx.sym.var("x")
TALL = MINIMUM_SIZE // 10


def both(graph, shape):
    """Values of a graph as it is and rewritten, and the operators of the rewritten one."""
    quick = use_matmul(graph, {"x": shape})
    x = mx.nd.array(np.random.default_rng(0).uniform(size=shape))
    values = [mx.nd.CachedOp(each)(x).asnumpy() for each in (graph, quick)]
    return *values, [node["op"] for node in json.loads(quick.tojson())["nodes"] if node["op"] != "null"]


@pytest.mark.parametrize(
    ("graph", "shape"),
    [
        (mx.sym.sum(X, axis=-1), (TALL, 10)),
        (mx.sym.sum(X, axis=1), (TALL, 10)),
        (mx.sym.sum(X), (MINIMUM_SIZE,)),
        (mx.sym.broadcast_div(X, mx.sym.sum(X)), (MINIMUM_SIZE, 1)),
    ],
    ids=["last axis", "axis 1", "vector", "column"],
)
def test_large_sums_become_products(graph, shape):
    plain, quick, operators = both(graph, shape)
    assert plain.shape == quick.shape
    np.testing.assert_allclose(quick, plain, rtol=1e-5)
    assert "dot" in operators
    assert "sum" not in operators


@pytest.mark.parametrize(
    ("graph", "shape"),
    [
        (mx.sym.sum(X, axis=-1), (TALL - 1, 10)),
        (mx.sym.sum(X, axis=0), (TALL, 10)),
        (mx.sym.sum(X, axis=-1, keepdims=True), (TALL, 10)),
        (mx.sym.sum(X, axis=1, exclude=True), (TALL, 10)),
        (mx.sym.sum(X, axis=1), (TALL, 10, 2)),
        (mx.sym.sum(X), (TALL, 10)),
    ],
    ids=["small", "rows", "kept axis", "other axes", "three axes", "all of a table"],
)
def test_other_sums_are_kept(graph, shape):
    plain, quick, operators = both(graph, shape)
    np.testing.assert_array_equal(quick, plain)
    assert operators == ["sum"]


ROW = mx.sym.slice_axis(X, axis=0, begin=0, end=1)


@pytest.mark.parametrize(
    "graph", [mx.sym.broadcast_sub(X, ROW), mx.sym.broadcast_add(X, ROW * 0.3)], ids=["sub", "add"]
)
def test_large_shifts_become_products(graph):
    plain, quick, operators = both(graph, (TALL, 10))
    np.testing.assert_allclose(quick, plain, atol=1e-7)
    assert "_linalg_gemm" in operators
    assert not {"broadcast_sub", "broadcast_add"} & set(operators)


@pytest.mark.parametrize(
    ("graph", "shape"),
    [
        (mx.sym.broadcast_sub(X, ROW), (TALL - 1, 10)),
        (mx.sym.broadcast_sub(ROW, X), (TALL, 10)),
        (mx.sym.broadcast_sub(X, mx.sym.slice_axis(X, axis=1, begin=0, end=1)), (TALL, 10)),
        (mx.sym.broadcast_sub(X, X), (TALL, 10)),
        (mx.sym.broadcast_mul(X, ROW), (TALL, 10)),
        (mx.sym.broadcast_add(X, ROW), (TALL, 10, 2)),
    ],
    ids=["small", "from a row", "a column", "a table", "times", "three axes"],
)
def test_other_shifts_are_kept(graph, shape):
    plain, quick, operators = both(graph, shape)
    np.testing.assert_array_equal(quick, plain)
    assert "_linalg_gemm" not in operators
