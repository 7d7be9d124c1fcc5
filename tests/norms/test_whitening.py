"""Decorrelated batch norm and iterative normalization: what whitening is, groups, and matrices that are hard."""

from __future__ import annotations

import numpy as np
import pytest
from norms_support import Host, close, inputs, norm, numeric_gradient

from normlab.errors import SpecError
from normlab.ops.whitening import Groups

DECORRELATED, ITER_NORM = "whitening/decorrelated.py", "whitening/iter_norm.py"
WAYS = ("zca", "pca", "cholesky")
SHAPES = {"NC": (40, 8), "NCHW": (7, 8, 3, 2), "NTC": (9, 8, 5)}


def mixed(layout, seed=3):
    """Activations whose channels are correlated, channels first, and a gradient of the output."""
    x, dy = inputs(layout, seed, shape=SHAPES[layout])
    mixing = np.random.default_rng(1).normal(size=(8, 8)) / 3 + np.eye(8)
    return np.einsum("cd,nd...->nc...", mixing, x), dy


def covariance(y, size=8):
    """The covariance of each group of channels, `(groups, size, size)`."""
    rows = np.moveaxis(y, 1, 0).reshape(y.shape[1] // size, size, -1)
    rows = rows - rows.mean(2, keepdims=True)
    return rows @ rows.swapaxes(1, 2) / rows.shape[2]


@pytest.mark.parametrize("whitening", WAYS)
@pytest.mark.parametrize("layout", SHAPES)
def test_channels_of_a_group_become_uncorrelated(layout, whitening):
    x, _ = mixed(layout)
    y = Host(DECORRELATED, layout, dtype="float64", whitening=whitening, group_size=4, epsilon=1e-9)(x).y
    close(covariance(y, 4), np.stack([np.eye(4)] * 2), 1e-6)
    assert np.abs(covariance(y) - np.eye(8)).max() > 1e-2


def test_matrices_are_what_they_are_called():
    x, _ = mixed("NC")
    found = {}
    for whitening in WAYS:
        host = Host(DECORRELATED, "NC", dtype="float64", whitening=whitening, momentum=0.0)
        host(x)
        found[whitening] = host.value("running_matrix")[0]
    close(found["zca"], found["zca"].T, 1e-9)
    close(found["cholesky"], np.tril(found["cholesky"]), 1e-9)
    assert (np.diag(found["cholesky"]) > 0).all()
    of_rows = found["pca"] @ found["pca"].T
    close(of_rows, np.diag(np.diag(of_rows)), 1e-6)
    assert (np.diff(np.diag(of_rows)) < 0).all()
    assert (found["pca"].sum(1) > 0).all()


def test_many_iterations_tend_to_zca():
    x, dy = mixed("NCHW")
    exact = Host(DECORRELATED, dtype="float64")(x, dy)
    far, near = (Host(ITER_NORM, dtype="float64", iterations=iterations)(x, dy) for iterations in (3, 12))
    close(near.y, exact.y, 1e-4)
    close(near.dx, exact.dx, 1e-4)
    assert np.abs(far.y - exact.y).max() > 1e-2


@pytest.mark.parametrize("whitening", ["zca", "cholesky"])
def test_gradient_is_exact_where_all_eigenvalues_agree(whitening):
    # rows of a Hadamard matrix: every channel has variance 1, none is correlated with another
    x = np.array([[1.0]])
    for _ in range(3):
        x = np.block([[x, x], [x, -x]])
    x = x[:, 1:5]
    dy = np.random.default_rng(0).normal(size=x.shape)
    host = Host(DECORRELATED, "NC", channels=4, dtype="float64", whitening=whitening)
    close(host(x, dy).dx, numeric_gradient(lambda point: host(point).y, x, dy), 1e-7)


@pytest.mark.parametrize("file", [DECORRELATED, ITER_NORM])
def test_prediction_uses_running_statistics(file):
    host = Host(file, "NC", dtype="float64", momentum=0.0)
    x, _ = mixed("NC")
    trained = host(x).y
    close(host(x, training=False).y, trained, 1e-9)
    close(host(x[:3], training=False).y, trained[:3], 1e-9)


def test_average_of_covariances_predicts_from_their_whitening():
    host = Host(ITER_NORM, "NC", dtype="float64", momentum=0.5, keeps="covariance")
    x, _ = mixed("NC")
    host(x)
    close(host.value("running_covariance"), (np.eye(8) + covariance(x)) / 2, 1e-9)


@pytest.mark.parametrize("whitening", WAYS)
def test_fewer_examples_than_channels_leave_all_finite(whitening):
    x, dy = mixed("NC")
    done = Host(DECORRELATED, "NC", whitening=whitening)(1e3 * x[:3], dy[:3])
    assert np.isfinite(done.y).all()
    assert np.isfinite(done.dx).all()


@pytest.mark.parametrize(
    ("channels", "size", "expected"), [(100, None, (2, 50)), (7, None, (1, 7)), (8, 4, (2, 4)), (8, 99, (1, 8))]
)
def test_channels_are_divided(channels, size, expected):
    assert Groups.of("iter_norm", channels, size, 64) == expected


def test_group_size_that_does_not_divide_is_refused_with_those_that_do():
    with pytest.raises(SpecError, match=r"group_size 3 does not divide the 8 channels.*1, 2, 4, 8"):
        norm(ITER_NORM).block(in_channels=8, layout="NC", group_size=3)
