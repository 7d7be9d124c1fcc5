"""Batch group normalization (Zhou et al. 2020, arXiv:2012.02782).

    y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta

Channels and positions of an example are laid out in one row, channel by channel, and cut into G groups; mean_G and the
biased var_G are taken over one of them and the whole batch. In prediction running statistics, one for each group, stand
for them. As many groups as channels make batch normalization.

Conventions: epsilon is inside the root, gamma and beta are one a channel. The paper tunes G by the size of the batch;
the default of 32 is that of group normalization. Groups of whole channels do for maps of any size. Those that hold
parts of a map (`across_maps`) do for maps whose values they divide, and treat positions differently.

Provenance: unconfirmed. The paper's abstract says over what statistics are taken, and code of others agrees; what is
averaged for prediction is taken from batch normalization: group by group, the variance without bias, `momentum` 0.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt

from normlab import BatchLayer, Norm, SpecError, hookimpl
from normlab.ops import constant, reshape_back, scale_shift


class BatchGroupNorm(BatchLayer):
    """Standardize each group of features over the batch.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(G,)` from 0, running_var `(G,)` from 1.

    Args:
        groups: Number of groups G.
        across_maps: Whether a group may hold a part of a map: G then divides the values of an example, not channels.
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(
        self,
        groups: PositiveInt = 32,
        across_maps: bool = False,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.groups = groups
        self.across_maps = across_maps
        self.affine()
        self.state("running_mean", "zeros", shape=lambda _: (groups,))
        self.state("running_var", "ones", shape=lambda _: (groups,))

    def prepare(self) -> None:
        """Refuse groups that do not divide the channels.

        Raises:
            SpecError: They don't, and are not to go across maps.
        """
        if self.in_channels % self.groups and not (self.across_maps and self.layout != "NC"):
            raise SpecError(
                f"batch_group: groups {self.groups} does not divide the {self.in_channels} channels of a site; "
                "expected a number that does; with positions, across_maps: true allows one that divides all values"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Standardize by group, then scale and shift by channel."""
        ones, zeros = (constant(F, x, fill, self.groups) for fill in (1.0, 0.0))
        flat = F.reshape(x, shape=(0, self.groups, -1))
        y = self.standardized(F, flat, ones, zeros, running_mean, running_var)
        y = reshape_back(F, y, x)
        return scale_shift(F, y, gamma, beta, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `batch_group`."""
    yield Norm(
        "batch_group",
        layer=BatchGroupNorm,
        title="Batch group normalization",
        formula="y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta, G a group of features over the batch",
        authors="Zhou, Sun, Ye, Lan, Luo, Lai, Esperanca, Yang, Li",
        year=2020,
        paper="arXiv:2012.02782",
        paper_title="Batch Group Normalization",
        provenance="unconfirmed",
    )
