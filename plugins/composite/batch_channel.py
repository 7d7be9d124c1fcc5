"""Batch-channel normalization (Qiao, Wang, Liu, Shen and Yuille 2019, arXiv:1911.09738).

    y = gamma (z - mean_G) / sqrt(var_G + epsilon) + beta
    z = gamma_batch (x - mean_B) / sqrt(var_B + epsilon) + beta_batch

Batch normalization, and after it group normalization: mean_B and the biased var_B are taken over the batch and all
positions, for each channel; mean_G and the biased var_G, for each example on its own, over a group of adjacent channels
and all positions. In prediction running statistics stand for those of the batch.
The paper uses it together with weight standardization.

Conventions, those of the authors' code: 32 groups; gamma and beta of the second part have one value a group, those of
the first one a channel. epsilon, 1e-5, is inside both roots; `momentum` is the share that is kept; the running variance
follows the unbiased estimate. What a network says of gamma and beta, such as a start from 0, holds for the second part.
For batches of a few examples the paper standardizes by statistics that are estimated over many steps, which is another
method.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt

from normlab import BatchLayer, Norm, SpecError, hookimpl
from normlab.ops import group_standardize


class BatchChannelNorm(BatchLayer):
    """Standardize each channel over the batch, then each group of channels over the example.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma_batch `(C,)` from 1, beta_batch `(C,)`
    from 0, gamma `(G,)` from 1, beta `(G,)` from 0. State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        groups: Number of groups G.
        epsilon: Added to the variances, inside the roots.
        momentum: Share of the running statistics that each training step keeps.
        scale: Whether gamma and gamma_batch are learned.
        center: Whether beta and beta_batch are learned.
    """

    def __init__(
        self,
        groups: PositiveInt = 32,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.groups = groups
        self.parameter("gamma", self.gamma_initializer, shape=lambda _: (groups,), trainable=self.scale)
        self.parameter("beta", self.beta_initializer, shape=lambda _: (groups,), trainable=self.center)
        self.parameter("gamma_batch", "ones", trainable=self.scale)
        self.parameter("beta_batch", "zeros", trainable=self.center)
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def prepare(self) -> None:
        """Refuse a number of groups.

        Raises:
            SpecError: The groups do not divide the channels, or leave a single value to standardize.
        """
        if self.in_channels % self.groups:
            raise SpecError(
                f"batch_channel: groups {self.groups} does not divide the {self.in_channels} channels of a site; "
                "expected a number of groups that does"
            )
        if self.layout == "NC" and self.groups == self.in_channels:
            raise SpecError(
                f"batch_channel: groups {self.groups} leaves groups of one channel in layout NC, where each would "
                f"become 0; expected fewer groups than the {self.in_channels} channels"
            )

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        gamma: Any,
        beta: Any,
        gamma_batch: Any,
        beta_batch: Any,
        running_mean: Any,
        running_var: Any,
    ) -> Any:
        """Standardize by batch, then by group."""
        y = self.standardized(F, x, gamma_batch, beta_batch, running_mean, running_var)
        return group_standardize(F, y, self.groups, self.epsilon, gamma, beta)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `batch_channel`."""
    yield Norm(
        "batch_channel",
        layer=BatchChannelNorm,
        title="Batch-channel normalization",
        formula="y = GN(BN(x))",
        authors="Qiao, Wang, Liu, Shen, Yuille",
        year=2019,
        paper="arXiv:1911.09738",
        paper_title="Rethinking Normalization and Elimination Singularity in Neural Networks",
    )
