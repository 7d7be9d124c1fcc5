"""Decorrelated batch normalization (Huang et al., CVPR 2018, arXiv:1804.08450) by ZCA, PCA and Cholesky's matrix.

Eigenvalues ascend. An eigenvector's sign is free, and with PCA it shows: here the sum of its components is positive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.generators.numpy_case import store
from reference.generators.whitening import case


def eigen(matrix: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors, to first order in the imaginary part of a symmetric matrix."""
    values, vectors = np.linalg.eigh(np.real(matrix))
    vectors = vectors * np.sign(vectors.sum(0))
    inner = vectors.T @ np.imag(matrix) @ vectors
    gaps = values[None, :] - values[:, None]
    np.fill_diagonal(gaps, np.inf)
    return values + 1j * np.diag(inner), vectors + 1j * vectors @ (inner / gaps)


def pca(covariance: Any) -> Any:
    """Lambda^(-1/2) U'."""
    values, vectors = eigen(covariance)
    return real(vectors.T / np.sqrt(values)[:, None], covariance)


def zca(covariance: Any) -> Any:
    """U Lambda^(-1/2) U'."""
    values, vectors = eigen(covariance)
    return real(vectors @ (vectors.T / np.sqrt(values)[:, None]), covariance)


def cholesky(covariance: Any) -> Any:
    """The inverse of L, for L L' = covariance."""
    size = len(covariance)
    lower = np.zeros_like(covariance)
    for i in range(size):
        for j in range(i + 1):
            rest = covariance[i, j] - lower[i, :j] @ lower[j, :j]
            lower[i, j] = np.sqrt(rest) if i == j else rest / lower[j, j]
    return np.linalg.inv(lower)


def real(value: Any, like: Any) -> Any:
    """A result that is real where its argument is."""
    return value if np.iscomplexobj(like) else np.real(value)


if __name__ == "__main__":
    ways = {
        "zca": (zca, "U Lambda^(-1/2) U'"),
        "pca": (pca, "Lambda^(-1/2) U'"),
        "cholesky": (cholesky, "the inverse of Cholesky's L"),
    }
    store(
        "decorrelated",
        [
            case(f"{layout.lower()}_{name}", layout, call, whitening)
            for name, (whitening, call) in ways.items()
            for layout in ("NC", "NCHW")
        ],
    )
