"""Ghost batch normalization (Hoffer, Hubara and Soudry, NeurIPS 2017, arXiv:1705.08741), algorithm 1.

    y = gamma (x - mean_V) / sqrt(var_V + epsilon) + beta

The batch is split into ghost batches V of at most `size` examples; mean_V and the biased var_V are taken over one of
them and all positions, for each channel. In prediction the running statistics stand for them.

Conventions: epsilon is inside the root. `momentum` is the share that is kept. The running statistics follow each ghost
batch in turn, as in the paper and its authors' code; Keras 2 averages over them first and moves them once: `follow`
chooses. The running variance follows the unbiased estimate, as in that code; Keras has the biased one. Ghost batches
are made of neighbours; those of Keras 2 take every k-th example: `strided`. Where `size` does not divide the batch,
there are as few ghost batches as can be: neighbours in equal numbers but for the last, as PyTorch's chunk has it (10 by
4: 4, 4, 2; 9 by 4: 3, 3, 3); Keras 2 refuses. A single value has no unbiased variance and counts as 0. `size` is 128,
as in the authors' code: with batches of no more examples it is batch normalization.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Moments,
    batch_size,
    chunk_standardize,
    even_chunk_sizes,
    from_strided,
    standardize_with,
    strided_chunk_sizes,
    to_strided,
)


class GhostBatchNorm(NormLayer):
    """Standardize each channel over the ghost batch that the example is in, and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        size: The most examples that a ghost batch has.
        strided: Whether a ghost batch takes every k-th example, for k ghost batches, instead of neighbours.
        follow: Whether running statistics follow `each` ghost batch in turn, or their `mean` once a step.
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that is kept.
        unbiased_running_var: Whether running_var follows the unbiased estimate.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        size: Annotated[int, Field(ge=2)] = 128,
        strided: bool = False,
        follow: Literal["each", "mean"] = "each",
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        unbiased_running_var: bool = True,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.size = size
        self.strided = strided
        self.follow = follow
        self.epsilon = epsilon
        self.momentum = momentum
        self.unbiased_running_var = unbiased_running_var
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Standardize, and in training move the running statistics."""
        if not self.training:
            return standardize_with(F, x, gamma, beta, running_mean, running_var, self.epsilon)
        count = batch_size(F, x)
        sizes = (strided_chunk_sizes if self.strided else even_chunk_sizes)(count, self.size)
        is_apart = self.strided and len(sizes) > 1
        x = to_strided(F, x, len(sizes)) if is_apart else x
        y, of = chunk_standardize(
            F, x, gamma, beta, self.in_channels, self.epsilon, sizes, is_unbiased=self.unbiased_running_var
        )
        self._move(F, of, len(sizes), running_mean, running_var)
        return from_strided(F, y, count, len(sizes)) if is_apart else y

    def _move(self, F: Any, of: Moments, ghosts: int, running_mean: Any, running_var: Any) -> None:
        """Move the running statistics by what each ghost batch has found."""
        index = F.contrib.arange_like(of.mean, axis=0)
        if self.follow == "mean":
            kept, weights = self.momentum, F.ones_like(index) * (1 - self.momentum) / ghosts
        else:
            kept = self.momentum**ghosts
            later = ghosts - 1 - index
            weights = (1 - self.momentum) * F.broadcast_power(F.ones_like(later) * self.momentum, later)
        self.update(
            running_mean=kept * running_mean + F.dot(weights, of.mean),
            running_var=kept * running_var + F.dot(weights, of.variance),
        )


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `ghost_batch`."""
    yield Norm(
        "ghost_batch",
        layer=GhostBatchNorm,
        title="Ghost batch normalization",
        formula="y = gamma (x - mean_V) / sqrt(var_V + epsilon) + beta, V a part of the batch",
        authors="Hoffer, Hubara, Soudry",
        venue="NeurIPS",
        year=2017,
        paper="arXiv:1705.08741",
        paper_title="Train longer, generalize better: closing the generalization gap in "
        "large batch training of neural networks",
    )
