"""Fusing convolutions with what follows them keeps the values, also after the weights have changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from normlab.backend.mxnet import mxnet
from normlab.backend.passes.folding import fuse_convolutions

mx = mxnet()
sym = mx.sym
X = sym.var("x")
RNG = np.random.default_rng(0)


def convolution(x, name):
    parameters = [sym.var(f"{name}_weight"), sym.var(f"{name}_bias")]
    return sym.Convolution(x, *parameters, num_filter=8, kernel=(3, 3), pad=(1, 1))


def relu(x):
    return sym.Activation(x, act_type="relu")


def residual(x, name):
    return relu(convolution(relu(convolution(x, f"{name}_a")), f"{name}_b") + x)


def used_again(x):
    y = convolution(x, "c") + x
    return relu(y) + x * y


def operators(graph):
    return [node["op"] for node in json.loads(graph.tojson())["nodes"] if node["op"] != "null"]


@pytest.mark.parametrize(
    "graph",
    [relu(convolution(X, "c")), residual(residual(X, "one"), "two"), used_again(X), relu(convolution(X, "c") * 2)],
    ids=["relu", "residual", "used again", "computed between"],
)
def test_values_stay_the_same_when_weights_and_batches_change(graph):
    ops = [mx.nd.CachedOp(each, [("static_alloc", True)]) for each in (graph, fuse_convolutions(graph))]
    shapes = dict(zip(graph.list_arguments(), graph.infer_shape(x=(4, 8, 6, 6))[0]))
    values = {name: mx.nd.zeros(shape) for name, shape in shapes.items()}
    for count in (4, 4, 2):
        for value in values.values():
            value[:] = RNG.normal(size=value.shape)
        values["x"] = mx.nd.array(RNG.normal(size=(count, 8, 6, 6)))
        with mx.autograd.train_mode():
            plain, quick = (op(*[values[name] for name in graph.list_inputs()]).asnumpy() for op in ops)
        np.testing.assert_allclose(quick, plain, atol=1e-5 * np.abs(plain).max())


NORMED = """
import json, sys
if sys.argv[1:]:
    import numpy as np
    np.bool, np.int, np.float, np.complex, np.object, np.str = bool, int, float, complex, object, str
    import mxnet
from normlab.backend.mxnet import mxnet
from normlab.backend.passes.folding import fuse_convolutions
sym = mxnet().sym
def of(x, name):
    return sym.Convolution(x, sym.var(name), no_bias=True, num_filter=8, kernel=(3, 3), pad=(1, 1))
norm = sym.BatchNorm(of(sym.var("x"), "w"), *map(sym.var, "abcd"), fix_gamma=False)
graph = fuse_convolutions(of(norm, "v") + norm)
print(*[node["op"] for node in json.loads(graph.tojson())["nodes"] if node["op"] != "null"])
"""


@pytest.mark.parametrize(
    ("first", "kept"),
    [([], "_sg_mkldnn_conv BatchNorm _sg_mkldnn_conv"), (["mxnet"], "Convolution BatchNorm Convolution elemwise_add")],
    ids=["normlab first", "mxnet first"],
)
def test_batch_norms_use_the_statistics_that_they_should(first, kept):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MXNET_")}
    command = [sys.executable, "-W", "ignore", "-c", NORMED, *first]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == kept


def test_activations_and_sums_are_fused():
    assert operators(fuse_convolutions(residual(X, "one"))) == ["_sg_mkldnn_conv", "_sg_mkldnn_conv"]


def test_networks_without_convolutions_are_unchanged():
    graph = relu(sym.FullyConnected(X, sym.var("w"), no_bias=True, num_hidden=4))
    assert fuse_convolutions(graph) is graph
