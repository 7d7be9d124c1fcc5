"""Iterative normalization (Huang, Zhou, Zhu, Liu and Shao, CVPR 2019, arXiv:1904.03441), algorithm 1.

    y = gamma W (x - mean_B) + beta,   W = P_T / sqrt(tr S),   S = cov_B + epsilon I
    P_0 = I,   P_k = (3 P_{k-1} - P_{k-1}^3 S / tr S) / 2

mean_B and the biased covariance are taken over the batch and all positions, for each group of adjacent channels. W
tends to S^(-1/2), so the channels of a group become uncorrelated, of variance 1; few iterations T leave the weakest
directions shorter than that, which is part of the method. In prediction the running mean and the running W stand for
those of the batch.

Conventions: epsilon, 1e-5, is added to the covariance. `momentum` is the share that is kept (the paper's lambda = 0.1
is the share that is new). The authors' code averages W; the same group's later paper (CVPR 2020, arXiv:2003.12327)
averages the covariance and finds W from it in prediction: `keeps` chooses. The authors divide channels into groups of
64 at most; where that does not divide them, they halve it until it does, and here the greatest divisor is taken.
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
    whitening_planes,
)

_MOST = 64


class IterNorm(NormLayer):
    """Whiten each group of channels by Newton's iteration.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0; running_matrix, or with `keeps: covariance` running_covariance, `(G, d, d)` from
    the identity, for G groups of d channels.

    Args:
        iterations: Steps of Newton's iteration, T.
        group_size: Channels of a group, d; all where a site has no more. If not given, the greatest divisor of the
            site's channels up to 64.
        epsilon: Added to the diagonal of the covariance.
        momentum: Share of the running statistics that each training step keeps.
        keeps: What is averaged for prediction: the whitening `matrix`, or the `covariance`.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        iterations: PositiveInt = 5,
        group_size: Optional[PositiveInt] = None,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        keeps: Literal["matrix", "covariance"] = "matrix",
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.iterations = iterations
        self.group_size = group_size
        self.epsilon = epsilon
        self.momentum = momentum
        self.keeps = keeps
        self.affine()
        self.state("running_mean", "zeros")
        self.state(f"running_{keeps}", identities, running_shape(self._divided))

    def prepare(self) -> None:
        """Divide the channels into groups."""
        self._groups = self._divided(self.in_channels)

    def _divided(self, channels: int) -> Groups:
        return Groups.of("iter_norm", channels, self.group_size, _MOST)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, **running: Any) -> Any:
        """Whiten, scale and shift, and in training move the running statistics."""
        planes = whitening_planes(F, x, self.layout)
        kept = running[f"running_{self.keeps}"]
        if self.training:
            planes, mean = center_channels(F, planes, self.in_channels)
            covariance = group_covariance(F, planes, self._groups)
            matrix = self._whitening(F, x, covariance)
            new = matrix if self.keeps == "matrix" else covariance
            self.update(
                running_mean=moving_average(running_mean, mean, self.momentum),
                **{f"running_{self.keeps}": moving_average(kept, new, self.momentum)},
            )
        else:
            ones, zeros = (constant(F, x, fill, self.in_channels) for fill in (1.0, 0.0))
            planes = center_scale_shift(F, planes, running_mean, ones, zeros, self.in_channels)
            matrix = kept if self.keeps == "matrix" else self._whitening(F, x, kept)
        return from_whitening_planes(F, multiply_groups(F, planes, matrix, gamma, beta, self._groups), x, self.layout)

    def _whitening(self, F: Any, like: Any, covariance: Any) -> Any:
        """The matrix of each group, `(G, d, d)`, by which its channels are multiplied."""
        unit = unit_matrices(F, like, self._groups)
        covariance = covariance + self.epsilon * unit
        trace = F.sum(covariance * unit, axis=(1, 2), keepdims=True)
        normalized = F.broadcast_div(covariance, trace)
        matrix = unit
        for _ in range(self.iterations):
            cube = F.batch_dot(F.batch_dot(matrix, matrix), matrix)
            matrix = 1.5 * matrix - 0.5 * F.batch_dot(cube, normalized)
        return F.broadcast_mul(matrix, F.rsqrt(trace))


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `iter_norm`."""
    yield Norm(
        "iter_norm",
        layer=IterNorm,
        title="Iterative normalization",
        formula="y = gamma W (x - mean_B) + beta, W = P_T / sqrt(tr S), P_k = (3 P_{k-1} - P_{k-1}^3 S / tr S) / 2",
        authors="Huang, Zhou, Zhu, Liu, Shao",
        venue="CVPR",
        year=2019,
        paper="arXiv:1904.03441",
        paper_title="Iterative Normalization: Beyond Standardization towards Efficient Whitening",
    )
