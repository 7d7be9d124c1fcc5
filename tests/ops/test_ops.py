"""The building blocks of norms agree with NumPy: compiled and imperative, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import close, mx, numeric_gradient, per_channel

from normlab.backend.graph import Graph
from normlab.backend.tracing import batch_size, constant
from normlab.ops.channelwise import batch_standardize, center_scale_shift, reshape_back, scale_shift, values_per_channel
from normlab.ops.chunks import (
    chunk_sizes,
    chunk_standardize,
    even_chunk_sizes,
    from_strided,
    strided_chunk_sizes,
    to_strided,
)
from normlab.ops.moments import position_moments
from normlab.ops.positionwise import (
    as_planes,
    broadcast_plane,
    channel_mean,
    channel_standardize,
    channel_variance,
    from_planes,
)
from normlab.ops.rowwise import (
    example_scale_shift,
    group_standardize,
    position_mean,
    unit_scale_shift,
    unit_standardize,
    unit_sum,
)

SCALE, SHIFT = np.linspace(0.5, 2, 6), np.linspace(-1, 1, 6)
EPSILON = 1e-3


def rows_standardized(x, rows):
    flat = x.reshape(rows, -1)
    return ((flat - flat.mean(1, keepdims=True)) / np.sqrt(flat.var(1, keepdims=True) + EPSILON)).reshape(x.shape)


def channels_standardized(x):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + EPSILON)


def array(F, like, values):
    return F.concat(*[constant(F, like, float(value)) for value in values], dim=0)


def affine(function, *, units=6):
    return lambda F, x: function(F, x, array(F, x, SCALE[:units]), array(F, x, SHIFT[:units]), units)


def each(F, x):
    mean = position_mean(F, x, 6)
    return example_scale_shift(F, x, mean, F.square(mean), 6)


def by_moments(F, x, channels=6):
    of = position_moments(F, x, channels)
    return example_scale_shift(F, x, F.rsqrt(of.variance + EPSILON), of.mean, channels)


def planes(F, x, first=None, layout="NTC"):
    mean = channel_mean(F, as_planes(F, x, layout), 6, layout, first)
    return F.reshape_like(broadcast_plane(F, mean, array(F, x, SCALE), 6, layout), x)


def by_variance(F, x, channels=6, layout="NTC"):
    view = as_planes(F, x, layout)
    inverse_root = F.rsqrt(channel_variance(F, view, channels, layout) + EPSILON)
    ones = constant(F, x, 1.0, channels)
    return from_planes(F, view * broadcast_plane(F, inverse_root, ones, channels, layout), x, layout)


def mean_of(x):
    return x.mean(tuple(range(2, x.ndim)), keepdims=True) if x.ndim > 2 else x


CASES = {
    "scale_shift": (affine(scale_shift), lambda x: per_channel(SCALE, x) * x + per_channel(SHIFT, x)),
    "scale_shift_thrice": (
        lambda F, x: affine(scale_shift)(F, affine(scale_shift)(F, affine(scale_shift)(F, x))),
        lambda x: per_channel(SCALE**3, x) * x + per_channel(SHIFT * (SCALE**2 + SCALE + 1), x),
    ),
    "group_standardize": (lambda F, x: group_standardize(F, x, 2, EPSILON), lambda x: rows_standardized(x, 2 * len(x))),
    "group_standardize_all": (lambda F, x: group_standardize(F, x, 1, EPSILON), lambda x: rows_standardized(x, len(x))),
    "group_standardize_twice": (
        lambda F, x: group_standardize(F, group_standardize(F, x, 2, EPSILON) * x, 3, EPSILON),
        lambda x: rows_standardized(rows_standardized(x, 2 * len(x)) * x, 3 * len(x)),
    ),
    "channel_standardize": (lambda F, x: channel_standardize(F, x, 6, EPSILON), channels_standardized),
    "group_standardize, scaled": (
        lambda F, x: group_standardize(F, x, 6, EPSILON, array(F, x, SCALE), array(F, x, SHIFT)),
        lambda x: per_channel(SCALE, x) * rows_standardized(x, 6 * len(x)) + per_channel(SHIFT, x),
    ),
    "values_per_channel": (
        lambda F, x: F.broadcast_mul(x, F.reshape_like(values_per_channel(F, x), F.sum(x, keepdims=True))),
        lambda x: x * (x.size // x.shape[1]),
    ),
    "planes": (planes, lambda x: per_channel(SCALE, x) * x.mean(1, keepdims=True)),
    "planes_first": (lambda F, x: planes(F, x, 2), lambda x: per_channel(SCALE, x) * x[:, :2].mean(1, keepdims=True)),
    "channel_variance": (by_variance, lambda x: x / np.sqrt(x.var(1, keepdims=True) + EPSILON)),
    "example_scale_shift": (each, lambda x: mean_of(x) * x + mean_of(x) ** 2),
}
#: What there must be positions for.
POSITION_CASES = {
    "position_moments": (
        by_moments,
        lambda x: x / np.sqrt(x.var(tuple(range(2, x.ndim)), keepdims=True) + EPSILON) + mean_of(x),
    ),
}
UNIT_CASES = {
    "unit_standardize": (lambda F, w: unit_standardize(F, w, 4, EPSILON), lambda w: rows_standardized(w, 4)),
    "unit_scale_shift": (
        affine(unit_scale_shift, units=4),
        lambda w: (w.T * SCALE[:4] + SHIFT[:4]).T,
    ),
    "unit_sum": (
        lambda F, w: F.broadcast_mul(F.BlockGrad(F.ones_like(w)), F.reshape(unit_sum(F, w)[0], shape=(-1, 1, 1))),
        lambda w: np.ones_like(w) * w.sum((1, 2))[:, None, None],
    ),
}
SHAPES = {"NC": (5, 6), "NCT": (3, 6, 4), "NCHW": (3, 6, 2, 5)}


def graph_of(function, *, training=True, hybridize=True):
    return Graph(function, [], training=training, hybridize=hybridize)


def agree(function, formula, shape, **options):
    random = np.random.default_rng(4)
    x, dy = random.normal(0.5, 1.2, (2, *shape))
    given = mx.nd.array(x)
    given.attach_grad()
    with mx.autograd.record(train_mode=options.get("training", True)):
        (y,) = graph_of(function, **options)(given)
    y.backward(mx.nd.array(dy))
    close(y.asnumpy(), formula(x), 5e-6)
    close(given.grad.asnumpy(), numeric_gradient(formula, x, dy), 2e-5)


@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_activations_and_gradients_agree_with_numpy(case, layout, training, hybridize):
    agree(*CASES[case], SHAPES[layout], training=training, hybridize=hybridize)


@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
@pytest.mark.parametrize("layout", ["NCT", "NCHW"])
@pytest.mark.parametrize("case", POSITION_CASES)
def test_statistics_of_positions_and_gradients_agree_with_numpy(case, layout, hybridize):
    agree(*POSITION_CASES[case], SHAPES[layout], hybridize=hybridize)


@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
@pytest.mark.parametrize("case", UNIT_CASES)
def test_weights_and_gradients_agree_with_numpy(case, hybridize):
    agree(*UNIT_CASES[case], (4, 3, 5), hybridize=hybridize)


def test_channel_standardize_of_images_is_the_same_with_and_without_a_copy():
    agree(lambda F, x: channel_standardize(F, x, 6, EPSILON, "NCHW"), channels_standardized, SHAPES["NCHW"])


@pytest.mark.parametrize("hybridize", [True, False], ids=["graph", "imperative"])
@pytest.mark.parametrize("layout", ["NC", "NCHW"])
@pytest.mark.parametrize("case", ["planes", "planes_first", "channel_variance"])
def test_tables_and_images_are_accepted_without_reshape(case, layout, hybridize):
    function = {
        "planes": lambda F, x: planes(F, x, layout=layout),
        "planes_first": lambda F, x: planes(F, x, 2, layout),
        "channel_variance": lambda F, x: by_variance(F, x, layout=layout),
    }
    agree(function[case], CASES[case][1], SHAPES[layout], hybridize=hybridize)


def test_unit_sum_returns_sums_and_number_of_weights():
    _, count = unit_sum(mx.nd, mx.nd.ones((4, 3, 5)))
    assert count.asnumpy().tolist() == [15]


def test_center_scale_shift_subtracts_the_mean_first():
    # the mean is in float32 to the bit, so the difference is exact where scale x + shift would not be
    x = mx.nd.array([[1e6 + 1, 1e6 + 3]])
    y = center_scale_shift(mx.nd, x, mx.nd.array([1e6, 1e6]), mx.nd.array([1, 2]), mx.nd.array([0, 5]), 2)
    close(y.asnumpy(), np.array([[1, 11]]), 1e-6)


def test_scale_and_shift_have_gradients():
    random = np.random.default_rng(6)
    x, dy = random.normal(size=(2, 4, 6, 3))
    scale, shift = mx.nd.array(SCALE), mx.nd.array(SHIFT)
    for vector in (scale, shift):
        vector.attach_grad()
    with mx.autograd.record():
        y = scale_shift(mx.nd, mx.nd.array(x), scale, shift, 6)
    y.backward(mx.nd.array(dy))
    close(scale.grad.asnumpy(), (x * dy).sum((0, 2)), 1e-5)
    close(shift.grad.asnumpy(), dy.sum((0, 2)), 1e-5)


def test_batch_statistics_have_no_gradient():
    x = mx.nd.random.normal(shape=(6, 3))
    x.attach_grad()
    with mx.autograd.record():
        _, mean, variance = batch_standardize(mx.nd, x, mx.nd.ones(3), mx.nd.zeros(3), 3, EPSILON)
        total = (mean + variance).sum()
    total.backward()
    close(mean.asnumpy(), x.asnumpy().mean(0), 1e-6)
    close(variance.asnumpy(), x.asnumpy().var(0), 1e-5)
    assert (x.grad.asnumpy() == 0).all()


@pytest.mark.parametrize("case", ["group_standardize", "channel_standardize", "example_scale_shift"])
def test_one_graph_works_for_any_batch_size_and_device(case):
    function, formula = CASES[case]
    graph = graph_of(function)
    for examples, device in ((5, 0), (2, 0), (5, 1), (7, 1), (2, 0)):
        x = np.random.default_rng(examples).normal(size=(examples, 6, 2, 3))
        (y,) = graph(mx.nd.array(x, ctx=mx.cpu(device)))
        assert y.context == mx.cpu(device)
        close(y.asnumpy(), formula(x), 5e-6)


@pytest.mark.parametrize("case", ["group_standardize", "group_standardize_all", "channel_standardize"])
def test_large_means_cause_no_cancellation(case):
    function, formula = CASES[case]
    x = np.random.default_rng(1).normal(1e3, 1, (4, 6, 16, 16)).astype("float32")
    (y,) = graph_of(function)(mx.nd.array(x))
    assert np.abs(y.asnumpy() - formula(x.astype("float64"))).max() < 2e-3


@pytest.mark.parametrize("case", ["position_moments", "channel_variance"])
def test_variances_about_large_means_cause_no_cancellation(case):
    function, formula = {**CASES, **POSITION_CASES}[case]
    x = np.random.default_rng(1).normal(1e3, 1, (4, 6, 16, 16)).astype("float32")
    (y,) = graph_of(function)(mx.nd.array(x))
    # of a thousand, so the relative error
    assert np.abs(y.asnumpy() / formula(x.astype("float64")) - 1).max() < 2e-6


#: With 16 channels, which convolutions keep in oneDNN's own layout.
BETWEEN = {
    "scale_shift": lambda F, x: scale_shift(F, x, *vectors(F, x), 16),
    "group_standardize": lambda F, x: group_standardize(F, x, 4, EPSILON),
    "group_standardize, to stay plain": lambda F, x: reshape_back(F, plain(F, x), x),
    "group_standardize, scaled": lambda F, x: group_standardize(F, x, 16, EPSILON, *vectors(F, x)),
    "channel_standardize": lambda F, x: channel_standardize(F, x, 16, EPSILON),
    "channel_standardize_images": lambda F, x: channel_standardize(F, x, 16, EPSILON, "NCHW"),
    "channel_variance": lambda F, x: by_variance(F, x, 16),
    "position_moments": lambda F, x: by_moments(F, x, 16),
    "position_mean": lambda F, x: example_scale_shift(F, x, position_mean(F, x, 16), F.zeros_like(x).mean((2, 3)), 16),
    "chunk_standardize": lambda F, x: in_chunks(F, x, chunk_sizes),
    "chunk_standardize, groups": lambda F, x: in_chunks(F, x, chunk_sizes, groups=4),
    "chunk_standardize, one chunk": lambda F, x: in_chunks(F, x, lambda count, _: [count]),
    "chunk_standardize, strided": lambda F, x: from_strided(
        F, in_chunks(F, to_strided(F, x, 2), strided_chunk_sizes), batch_size(F, x), 2
    ),
    "values_per_channel": lambda F, x: F.broadcast_mul(x, F.reshape(values_per_channel(F, x), shape=(1, 1, 1, 1))),
}


def plain(F, x):
    return group_standardize(F, F.reshape(x, shape=(0, 0, -1)), 4, EPSILON, stays_plain=True)


def in_chunks(F, x, sizes, **options):
    return chunk_standardize(F, x, *vectors(F, x), 16, EPSILON, sizes(batch_size(F, x), 2), **options)[0]


def vectors(F, x):
    return constant(F, x, 1.5, 16), constant(F, x, 0.25, 16)


def convolutions():
    random = np.random.default_rng(8)
    layers = [mx.gluon.nn.Conv2D(16, 3, padding=1, in_channels=16) for _ in range(2)]
    for layer in layers:
        layer.initialize()
        layer.weight.set_data(mx.nd.array(random.normal(0, 0.1, (16, 16, 3, 3))))
    return layers, [parameter for layer in layers for parameter in layer.collect_params().values()]


@pytest.mark.parametrize("shape", [(4, 16, 8, 8), (5, 16, 5, 7)])
@pytest.mark.parametrize("case", BETWEEN)
def test_graph_between_convolutions_agrees_with_imperative_operators(case, shape):
    (before, after), parameters = convolutions()
    random = np.random.default_rng(5)
    given, dy = (mx.nd.array(random.normal(size=shape)) for _ in range(2))
    given.attach_grad()

    def ran(hybridize):
        graph = Graph(lambda F, x: after(BETWEEN[case](F, before(x))), parameters, training=True, hybridize=hybridize)
        with mx.autograd.record():
            (y,) = graph(given)
        y.backward(dy)
        return [y.asnumpy(), given.grad.asnumpy(), *(parameter.grad().asnumpy() for parameter in parameters)]

    for compiled, single in zip(ran(hybridize=True), ran(hybridize=False)):
        assert np.abs(compiled - single).max() < 2e-5 * max(1.0, np.abs(single).max())


@pytest.mark.parametrize(
    ("sizes", "count", "size", "expected"),
    [
        (chunk_sizes, 10, 4, [4, 4, 2]),
        (chunk_sizes, 9, 4, [4, 4, 1]),
        (chunk_sizes, 3, 4, [3]),
        (even_chunk_sizes, 10, 4, [4, 4, 2]),
        (even_chunk_sizes, 9, 4, [3, 3, 3]),
        (strided_chunk_sizes, 10, 4, [4, 3, 3]),
        (strided_chunk_sizes, 4, 4, [4]),
    ],
)
def test_sizes_of_chunks(sizes, count, size, expected):
    assert sizes(count, size) == expected


def test_moments_are_returned_for_each_chunk():
    x = np.random.default_rng(4).normal(2, 3, (5, 6, 2, 2)).astype("float32")

    def told(F, x):
        ones, zeros = constant(F, x, 1.0, 6), constant(F, x, 0.0, 6)
        of = chunk_standardize(F, x, ones, zeros, 6, EPSILON, [2, 2, 1], groups=3, is_unbiased=True)[1]
        return tuple(of)

    mean, variance = (value.asnumpy() for value in graph_of(told)(mx.nd.array(x)))
    chunks = [x[:2], x[2:4], x[4:]]
    values = [np.moveaxis(chunk.reshape(len(chunk), 3, 8), 1, 0).reshape(3, -1) for chunk in chunks]
    close(mean, np.stack([of.mean(1) for of in values]))
    close(variance, np.stack([of.var(1, ddof=1) for of in values]), 1e-5)


def test_constant_depends_on_the_shape_of_each_batch():
    graph = graph_of(lambda F, x: values_per_channel(F, F.Pooling(x, kernel=(2, 2), stride=(2, 2))))
    for examples, height in ((3, 4), (5, 4), (3, 8), (3, 4)):
        (count,) = graph(mx.nd.ones((examples, 6, height, 4)))
        assert count.asnumpy().tolist() == [examples * height]


def test_constant_may_depend_on_an_activation_that_depends_on_a_constant():
    def function(F, x):
        scaled = F.broadcast_mul(x, F.reshape(values_per_channel(F, x), shape=(1, 1, 1, 1)))
        return values_per_channel(F, F.Pooling(channel_standardize(F, scaled, 6, EPSILON), global_pool=True))

    (count,) = graph_of(function)(mx.nd.ones((3, 6, 2, 5)))
    assert count.asnumpy().tolist() == [3]
