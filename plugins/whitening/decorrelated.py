"""Decorrelated batch normalization (Huang, Yang, Lang and Deng, CVPR 2018, arXiv:1804.08450), section 3.

    y = gamma W (x - mean_B) + beta,   S = cov_B + epsilon I = U diag(lambda) U'
    W = U diag(lambda)^(-1/2) U'   (ZCA)

mean_B and the biased covariance are taken over the batch and all positions, for each group of adjacent channels, which
become uncorrelated, of variance 1. In prediction the running mean and the running W stand for those of the batch.

Conventions: `whitening` chooses among the matrices that whiten: `zca`, the paper's; `pca`, diag(lambda)^(-1/2) U',
which the paper advises against, since axes change places from batch to batch; `cholesky`, the inverse of Cholesky's L,
of which S = L L'. The sign of a row of U' is free, and with PCA it shows: here the sum of a row is positive, and rows
have ascending lambda. epsilon is added to the covariance. `momentum` is the share that is kept. The authors average W
as it is; Chainer multiplies it by m / (m - 1) for m values: `unbiased_running_matrix`. Chainer has no gamma and beta.
The authors' groups have 16 channels; where that does not divide them, here the greatest divisor below is taken.

The gradient is exact: ZCA's and Cholesky's have no differences of eigenvalues below a fraction line; with PCA
directions whose eigenvalues agree to 1e-12 pass no gradient of their exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Optional

from pydantic import Field, PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Groups,
    center_channels,
    center_scale_shift,
    constant,
    from_whitening_planes,
    group_covariance,
    identities,
    moving_average,
    multiply_groups,
    running_shape,
    unit_matrices,
    values_per_channel,
    whitening_planes,
)

_MOST = 16
#: Eigenvalues that are nearer than this are taken for equal in the derivative of PCA.
_GAP = 1e-12


class DecorrelatedBatchNorm(NormLayer):
    """Whiten each group of channels by a factorization of their covariance.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_matrix `(G, d, d)` from the identity, for G groups of d channels.

    Args:
        whitening: Which of the matrices that whiten: `zca`, `pca` or `cholesky`.
        group_size: Channels of a group, d; all where a site has no more. If not given, the greatest divisor of the
            site's channels up to 16.
        epsilon: Added to the diagonal of the covariance.
        momentum: Share of the running statistics that each training step keeps.
        unbiased_running_matrix: Whether running_matrix follows m / (m - 1) W for m values.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        whitening: Literal["zca", "pca", "cholesky"] = "zca",
        group_size: Optional[PositiveInt] = None,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        unbiased_running_matrix: bool = False,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.whitening = whitening
        self.group_size = group_size
        self.epsilon = epsilon
        self.momentum = momentum
        self.unbiased_running_matrix = unbiased_running_matrix
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_matrix", identities, running_shape(self._divided))

    def prepare(self) -> None:
        """Divide the channels into groups."""
        self._groups = self._divided(self.in_channels)

    def _divided(self, channels: int) -> Groups:
        return Groups.of("decorrelated", channels, self.group_size, _MOST)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_matrix: Any) -> Any:
        """Whiten, scale and shift, and in training move the running statistics."""
        planes = whitening_planes(F, x, self.layout)
        if self.training:
            planes, mean = center_channels(F, planes, self.in_channels)
            unit = unit_matrices(F, x, self._groups)
            covariance = group_covariance(F, planes, self._groups) + self.epsilon * unit
            matrix = self._matrix(F, covariance, unit)
            self._move(F, x, running_mean, running_matrix, mean, matrix)
        else:
            ones, zeros = (constant(F, x, fill, self.in_channels) for fill in (1.0, 0.0))
            planes = center_scale_shift(F, planes, running_mean, ones, zeros, self.in_channels)
            matrix = running_matrix
        return from_whitening_planes(F, multiply_groups(F, planes, matrix, gamma, beta, self._groups), x, self.layout)

    def _move(self, F: Any, x: Any, running_mean: Any, running_matrix: Any, mean: Any, matrix: Any) -> None:
        if self.unbiased_running_matrix:
            count = values_per_channel(F, x)
            matrix = F.broadcast_mul(matrix, F.reshape(count / (count - 1), shape=(1, 1, 1)))
        self.update(
            running_mean=moving_average(running_mean, mean, self.momentum),
            running_matrix=moving_average(running_matrix, matrix, self.momentum),
        )

    def _matrix(self, F: Any, covariance: Any, unit: Any) -> Any:
        """The whitening matrix of each group, `(G, d, d)`.

        The factorization is a constant to the gradient. What depends on the covariance is the difference, which is 0,
        between it and itself as a constant, to first order: W + dW, with dW = left (weights * (rows d rows')) rows.
        """
        change = covariance - F.BlockGrad(covariance)
        fixed, poison = _without_nan(F, F.BlockGrad(covariance), unit)
        vectors, values = F.linalg.syevd(fixed)
        # the eigenvalues are at least epsilon, but for rounding
        vectors, roots = F.BlockGrad(vectors), F.BlockGrad(F.sqrt(F.broadcast_maximum(values, self._least(F, values))))
        factor = {"zca": _zca, "pca": _pca, "cholesky": _cholesky}[self.whitening]
        matrix, left, rows, weights = (F.BlockGrad(part) for part in factor(F, vectors, roots, unit))
        inner = F.batch_dot(F.batch_dot(rows, change), rows, transpose_b=True)
        moved = F.batch_dot(F.batch_dot(left, F.broadcast_mul(weights, inner)), rows)
        return F.broadcast_add(matrix + moved, poison)

    def _least(self, F: Any, values: Any) -> Any:
        return F.ones_like(values) * self.epsilon


def _without_nan(F: Any, covariance: Any, unit: Any) -> tuple[Any, Any]:
    """Matrices that LAPACK takes, and what is to be added to the result, `(G, 1, 1)`: 0, or NaN where one had a NaN."""
    poison = F.sum(covariance * 0, axis=(1, 2), keepdims=True)
    return F.where(F.broadcast_like(poison == 0, covariance), covariance, unit), poison


def _zca(F: Any, vectors: Any, roots: Any, _: Any) -> tuple[Any, ...]:
    """U diag(1 / s) U', and its derivative with the weights -1 / (s_i s_j (s_i + s_j)); the rows of vectors are U'."""
    back = F.transpose(vectors, axes=(0, 2, 1))
    one, other = F.expand_dims(roots, axis=2), F.expand_dims(roots, axis=1)
    weights = -1 / (F.broadcast_mul(one, other) * F.broadcast_add(one, other))
    return F.batch_dot(back, F.broadcast_div(vectors, one)), back, vectors, weights


def _pca(F: Any, vectors: Any, roots: Any, unit: Any) -> tuple[Any, ...]:
    """diag(1 / s) U', and its derivative with the weights (1 / s_i) / (s_i^2 - s_j^2), on the diagonal -1 / (2 s^3)."""
    vectors = F.broadcast_mul(vectors, 1 - 2 * (F.sum(vectors, axis=2, keepdims=True) < 0))
    one, other = F.expand_dims(roots, axis=2), F.expand_dims(roots, axis=1)
    gaps = F.broadcast_sub(F.square(one), F.square(other))
    apart = F.abs(gaps) > _GAP
    between = F.broadcast_div(apart / F.where(apart, gaps, F.ones_like(gaps)), one)
    weights = between - F.broadcast_div(unit, 2 * one**3)
    return F.broadcast_div(vectors, one), unit, vectors, weights


def _cholesky(F: Any, vectors: Any, roots: Any, unit: Any) -> tuple[Any, ...]:
    """The inverse of L, and its derivative with the weights -1 below the diagonal and -1/2 on it.

    L comes from the factorization U diag(s) = L Q, which exists for all matrices, as Cholesky's of S = L L' does not in
    the presence of rounding.
    """
    _, lower = F.linalg.gelqf(F.transpose(F.broadcast_mul(vectors, F.expand_dims(roots, axis=2)), axes=(0, 2, 1)))
    signs = 1 - 2 * (F.sum(lower * unit, axis=2, keepdims=True) < 0)
    matrix = F.broadcast_mul(F.linalg.trsm(lower, unit), signs)
    order = F.contrib.arange_like(unit, axis=1)
    below = F.broadcast_greater(F.expand_dims(order, axis=1), F.expand_dims(order, axis=0))
    weights = -F.broadcast_add(unit / 2, F.expand_dims(below, axis=0))
    return matrix, unit, matrix, weights


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `decorrelated`."""
    yield Norm(
        "decorrelated",
        layer=DecorrelatedBatchNorm,
        title="Decorrelated batch normalization",
        formula="y = gamma W (x - mean_B) + beta, W = (cov_B + epsilon I)^(-1/2)",
        authors="Huang, Yang, Lang, Deng",
        venue="CVPR",
        year=2018,
        paper="arXiv:1804.08450",
        paper_title="Decorrelated Batch Normalization",
        expected_failures={
            "takes_float16": "with fewer examples than a group has channels there are directions without variance, "
            "which prediction stretches by 1 / sqrt(epsilon), beyond what float16 holds",
        },
    )
