"""Ghost batch norm: which examples are standardized together, and what the running statistics follow."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, affine_values, close, equal_formula, inputs, per_channel
from pydantic import ValidationError

FILE = "statistics/ghost_batch.py"
EPSILON = 1e-5

#: What a batch of so many examples becomes with so many in a ghost batch, by neighbours and by strides.
NEIGHBOURS = {(10, 4): [4, 4, 2], (9, 4): [3, 3, 3], (7, 3): [3, 3, 1], (6, 4): [3, 3], (5, 8): [5], (3, 2): [2, 1]}
STRIDES = {(10, 4): [4, 3, 3], (9, 4): [3, 3, 3], (7, 3): [3, 2, 2], (5, 8): [5]}


def members(count, sizes, *, strided):
    """The examples of each ghost batch."""
    if strided:
        return [np.arange(count)[start :: len(sizes)] for start in range(len(sizes))]
    return np.split(np.arange(count), np.cumsum(sizes)[:-1])


def statistics(part):
    axes = (0, *range(2, part.ndim))
    return part.mean(axes), part.var(axes)


def formula(ghosts):
    def compute(x, gamma, beta):
        y = np.zeros(x.shape)
        for ghost in ghosts:
            mean, variance = (per_channel(value, x) for value in statistics(x[ghost]))
            y[ghost] = (x[ghost] - mean) / np.sqrt(variance + EPSILON)
        return per_channel(gamma, x) * y + per_channel(beta, x)

    return compute


def cases():
    for strided, table in ((False, NEIGHBOURS), (True, STRIDES)):
        for (count, size), sizes in table.items():
            yield pytest.param(count, size, sizes, strided, id=f"{count}-by-{size}{'-strided' * strided}")


@pytest.mark.parametrize(("count", "size", "sizes", "strided"), list(cases()))
@pytest.mark.parametrize("shape", [(8, 3, 2), (8,)], ids=["NCHW", "NC"])
def test_each_ghost_batch_is_standardized_on_its_own(count, size, sizes, strided, shape):
    values = affine_values()
    host = Host(FILE, "NCHW" if len(shape) > 1 else "NC", values, size=size, strided=strided)
    x, dy = inputs("", shape=(count, *shape))
    ghosts = members(count, sizes, strided=strided)
    assert [len(ghost) for ghost in ghosts] == sizes
    if len(shape) > 1:
        equal_formula(host, formula(ghosts), x, dy, values, training=True)
    else:  # two vectors become signs, whose gradient is rounding
        close(host(x).y, formula(ghosts)(x, **values), 1e-4)


@pytest.mark.parametrize("follow", ["each", "mean"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics_follow_each_ghost_batch_or_their_mean(follow, unbiased):
    host = Host(FILE, size=3, momentum=0.6, follow=follow, unbiased_running_var=unbiased)
    mean, variance = np.zeros(8), np.ones(8)
    for seed in range(2):
        x, _ = inputs("NCHW", seed, shape=(8, 8, 3, 2))
        host(x)
        found = [statistics(x[ghost]) for ghost in members(8, [3, 3, 2], strided=False)]
        factors = [m / (m - 1) if unbiased else 1 for m in (18, 18, 12)]
        found = [(of_mean, of_variance * factor) for (of_mean, of_variance), factor in zip(found, factors)]
        for of_mean, of_variance in found if follow == "each" else [np.mean(found, axis=0)]:
            mean, variance = 0.6 * mean + 0.4 * of_mean, 0.6 * variance + 0.4 * of_variance
    close(host.value("running_mean"), mean, 2e-6)
    close(host.value("running_var"), variance, 5e-6)
    x, dy = inputs("NCHW")
    done = host(x, dy, training=False)
    close(done.y, (x - per_channel(mean, x)) / np.sqrt(per_channel(variance, x) + EPSILON))
    close(done.dx, dy / np.sqrt(per_channel(variance, x) + EPSILON))


def test_with_no_momentum_the_running_statistics_are_those_of_the_last_ghost_batch():
    host = Host(FILE, size=2, momentum=0.0)
    x, _ = inputs("NCHW")
    host(x)
    close(host.value("running_mean"), x[2:].mean((0, 2, 3)))


def test_a_last_ghost_batch_of_one_vector_leaves_finite_numbers():
    host = Host(FILE, "NC", size=2)
    x, dy = inputs("", shape=(3, 8))
    done = host(x, dy)
    assert (done.y[2] == 0).all()
    assert all(np.isfinite(value).all() for value in (done.y, done.dx, host.value("running_var")))


def test_a_graph_splits_batches_of_other_sizes_anew():
    host = Host(FILE, size=4)
    for count in (10, 6, 12):
        x, _ = inputs("", count, shape=(count, 8, 3, 2))
        sizes = {10: [4, 4, 2], 6: [3, 3], 12: [4, 4, 4]}[count]
        close(host(x).y, formula(members(count, sizes, strided=False))(x, np.ones(8), np.zeros(8)))


def test_ghost_batches_of_one_are_refused():
    with pytest.raises(ValidationError, match="size"):
        Host(FILE, size=1)
