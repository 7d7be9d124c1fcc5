"""What every shipped norm keeps to: modes, devices, batch sizes, float16, values that are not ordinary."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import SHAPES, Host, close, inputs, mx, norm

from normlab.backend.graph import Graph
from normlab.catalog.signature import check
from normlab.models.weights import normalize_weights
from normlab.spec import Part

LAYERS = {
    "layer": ("statistics/layer.py", {}),
    "layer-channels": ("statistics/layer.py", {"over": "channels"}),
    "group": ("statistics/group.py", {"groups": 2}),
    "instance": ("statistics/instance.py", {}),
    "rms": ("statistics/rms.py", {"center": True}),
    "rms-all": ("statistics/rms.py", {"over": "all"}),
    "frn": ("statistics/frn.py", {}),
    "batch_renorm": (
        "statistics/batch_renorm.py",
        {"relax_from": 0, "r_max_from": 0, "d_max_from": 0, "momentum": 0.5},
    ),
}
WEIGHTS = ("weights/weight_norm.py", "weights/weight_standardization.py")
SITES = [(name, layout) for name, (file, _) in LAYERS.items() for layout in norm(file).layer.layouts]
WITHOUT_BATCH = [name for name, (file, _) in LAYERS.items() if not norm(file).layer.depends_on_batch]


def host_of(name, layout="NCHW", **options):
    file, own = LAYERS[name]
    return Host(file, layout, **own, **options)


@pytest.mark.parametrize(("name", "layout"), SITES)
def test_graph_and_imperative_agree_bitwise_or_nearly(name, layout):
    compiled, plain = (host_of(name, layout, hybridize=hybridize) for hybridize in (True, False))
    for seed in range(3):
        x, dy = inputs(layout, seed)
        one, other = compiled(x, dy), plain(x, dy)
        close(one.y, other.y, 1e-6)
        close(one.dx, other.dx, 1e-6)
        close(compiled(x, training=False).y, plain(x, training=False).y, 1e-6)
    for state in compiled.names:
        close(compiled.value(state), plain.value(state), 1e-6)


@pytest.mark.parametrize(("name", "layout"), SITES)
def test_a_block_in_a_network_of_anybodys_gives_the_same(name, layout):
    host = host_of(name, layout)
    x = mx.nd.random.normal(shape=SHAPES[layout])
    with mx.autograd.predict_mode():
        plain = host.block(x)
    close(plain.asnumpy(), host.graphs[False](x)[0].asnumpy(), 1e-6)


@pytest.mark.parametrize("name", WITHOUT_BATCH)
def test_prediction_is_training_and_examples_are_independent(name):
    host = host_of(name)
    x, dy = inputs("NCHW")
    trained, predicted, part = host(x, dy), host(x, dy, training=False), host(x[1:3], dy[1:3])
    assert np.array_equal(trained.y, predicted.y)
    assert np.array_equal(trained.dx, predicted.dx)
    close(part.y, trained.y[1:3], 1e-6)
    close(part.dx, trained.dx[1:3], 1e-6)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_a_second_device_gives_the_same(name, hybridize):
    host = host_of(name, devices=2, hybridize=hybridize)
    for seed in range(2):
        x, dy = inputs("NCHW", seed)
        one, other = host(x, dy, device=0), host(x, dy, device=1)
        assert np.array_equal(one.y, other.y)
        assert np.array_equal(one.dx, other.dx)
        for parameter, gradient in one.gradients.items():
            assert np.array_equal(gradient, other.gradients[parameter])


@pytest.mark.parametrize("name", LAYERS)
def test_a_graph_takes_batches_of_any_size(name):
    used = host_of(name)
    for examples in (4, 6, 3, 4):
        x, dy = inputs("NCHW", examples, shape=(examples, 8, 3, 2))
        done, new = used(x, dy, training=False), host_of(name, values={n: used.value(n) for n in used.names})
        assert np.array_equal(done.y, new(x, training=False).y)


@pytest.mark.parametrize("name", LAYERS)
def test_large_means_do_not_cancel(name):
    x = np.random.default_rng(1).normal(1e3, 1, (6, 8, 12, 12)).astype("float32")
    single, double = host_of(name)(x).y, host_of(name, dtype="float64")(x).y
    assert np.abs(single - double).max() / max(1, np.abs(double).max()) < 2e-3


@pytest.mark.parametrize(("name", "layout"), SITES)
@pytest.mark.parametrize("value", [0.0, 3.0, 1e4])
def test_constant_input_gives_finite_numbers(name, layout, value):
    host = host_of(name, layout)
    x, dy = np.full_like(inputs(layout)[0], value), inputs(layout)[1]
    for training in (True, True, False):
        done = host(x, dy, training=training)
        assert all(np.isfinite(array).all() for array in (done.y, done.dx, *done.gradients.values()))


@pytest.mark.parametrize(("name", "layout"), SITES)
@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
def test_float16_is_computed_in_float32(name, layout, hybridize):
    half, single = (host_of(name, layout, hybridize=hybridize, dtype=dtype) for dtype in ("float16", "float32"))
    x, dy = (value.astype("float16") for value in inputs(layout))
    x *= 200  # the square is beyond float16
    one, other = half(x, dy), single(x, dy)
    assert one.y.dtype == one.dx.dtype == np.float16
    assert all(gradient.dtype == np.float32 for gradient in one.gradients.values())
    np.testing.assert_allclose(one.y, other.y, rtol=1e-3, atol=1e-3)
    for parameter, gradient in one.gradients.items():
        close(gradient, other.gradients[parameter], 1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_the_batch_may_be_gathered_in_the_graph(name):
    host = host_of(name)
    images, _ = inputs("NCHW", shape=(20, 8, 3, 2))
    order = np.array([7, 3, 19])
    graph = Graph(
        lambda F, indices, x: host.block(F.take(x, indices)), host.block.collect_params().values(), training=True
    )
    (y,) = graph(mx.nd.array(order, dtype="int32"), mx.nd.array(images))
    close(y.asnumpy(), host_of(name)(images[order]).y, 1e-6)


@pytest.mark.parametrize("file", WEIGHTS)
def test_weights_whose_shapes_were_found_late_are_normalized(file):
    registered = norm(file)
    block = mx.gluon.nn.HybridSequential()
    block.add(mx.gluon.nn.Conv2D(8, 3), mx.gluon.nn.Dense(3))
    block.initialize()
    x = mx.nd.random.normal(shape=(5, 2, 6, 6))
    block(x)
    for _, layer in normalize_weights(block, [Part.resolved(registered, check(registered.factories, {}))]):
        layer.collect_params(".*_g").initialize()
        layer.start()
    one, other = (
        Graph(lambda _, x: block(x), block.collect_params().values(), training=True, hybridize=hybridize)(x)[0]
        for hybridize in (True, False)
    )
    close(one.asnumpy(), other.asnumpy(), 1e-6)


@pytest.mark.parametrize("file", WEIGHTS)
def test_float16_weights_are_computed_in_float32(file):
    weight = np.random.default_rng(0).normal(size=(8, 600)).astype("float16")
    half = Host(file, dtype="float16")(weight).y
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, Host(file)(weight).y, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_a_norm_that_is_asked_to_learn_nothing_learns_nothing(name):
    host = host_of(name, site={"scale": False, "center": False, "gamma_initializer": "zeros"})
    assert (host.value("gamma") == 0).all()
    assert not {"gamma", "beta"} & {n for n in host.names if host.parameter(n).grad_req != "null"}


@pytest.mark.parametrize("name", ["group", "layer", "rms", "frn"])
def test_deferred_channels_are_found_at_the_first_call(name):
    x, _ = inputs("NCHW")
    late, known = host_of(name, channels=0, hybridize=False), host_of(name)
    close(late(x).y, known(x).y, 1e-6)
    assert late.block.method.in_channels == 8


def sandwich(name):
    """A norm between convolutions that oneDNN computes in a layout of its own, or on the weight of such."""
    nn = mx.gluon.nn
    block = nn.HybridSequential()
    before, after = nn.Conv2D(16, 3, padding=1, in_channels=3), nn.Conv2D(16, 3, padding=1, in_channels=16)
    if name in WEIGHTS:
        block.add(before, nn.BatchNorm(in_channels=16), nn.Activation("relu"), after)
    else:
        file, own = LAYERS[name]
        registered = norm(file)
        layer = registered.block(**check(registered.factories, own), in_channels=16, activation="relu")
        block.add(before, layer, nn.Activation("relu"), after)
    mx.random.seed(1)
    block.initialize(mx.init.Normal(0.3))
    if name in WEIGHTS:
        registered = norm(name)
        for _, layer in normalize_weights(block, [Part.resolved(registered, check(registered.factories, {}))]):
            layer.collect_params(".*_g").initialize()
            layer.start()
    return block


@pytest.mark.parametrize("name", [*LAYERS, *WEIGHTS])
def test_between_convolutions_a_graph_has_the_gradients_of_single_operators(name):
    block = sandwich(name)
    parameters = list(block.collect_params().values())
    x = mx.nd.random.normal(shape=(64, 3, 16, 16))
    x.attach_grad()
    found = []
    for hybridize in (False, True):
        graph = Graph(lambda _, x: block(x), parameters, training=True, hybridize=hybridize, freeze_state=True)
        for _ in range(2):
            with mx.autograd.record():
                (y,) = graph(x)
            y.backward()
        gradients = [parameter.grad().asnumpy() for parameter in parameters if parameter.grad_req != "null"]
        found.append([y.asnumpy(), x.grad.asnumpy(), *gradients])
    for expected, compiled in zip(*found):
        close(compiled, expected, 1e-5)
