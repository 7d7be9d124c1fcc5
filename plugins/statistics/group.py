"""Group normalization (Wu and He, ECCV 2018, arXiv:1803.08494), equations 1, 2, 6 and 7.

    y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta

mean_G and the biased var_G are taken, for each example on its own, over a group of C / G adjacent channels and all
positions. Prediction is the same as training; there is no state.

Conventions: epsilon is inside the root. gamma and beta have one value a channel, as in the paper, PyTorch, Flax and
Keras (Gluon's GroupNorm has one a group). The paper's default is 32 groups; its table 3 also fixes the channels of a
group instead, as `group_size` does. Channels that the groups do not divide are refused; where a network is narrower
than that, `clip` takes as many groups as there are channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from pydantic import PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import group_standardize, scale_shift


class GroupNorm(NormLayer):
    """Standardize each group of channels of each example over its channels and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    No state; prediction is the same as training.

    Args:
        groups: Number of groups G.
        group_size: Channels of a group, C / G, instead of their number.
        clip: Whether fewer than `groups` channels make groups of one channel each, instead of being refused.
        epsilon: Added to the variance, inside the root.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(
        self,
        groups: PositiveInt = 32,
        group_size: Optional[PositiveInt] = None,
        clip: bool = False,
        epsilon: PositiveFloat = 1e-5,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.groups = groups
        self.group_size = group_size
        self.clip = clip
        self.epsilon = epsilon
        self.affine()

    def prepare(self) -> None:
        """Settle the number of groups.

        Raises:
            SpecError: The groups do not divide the channels, or leave a single value to standardize.
        """
        channels = self.in_channels
        asked = self.group_size or self.groups
        divisor = min(asked, channels) if self.clip else asked
        name = f"{'group_size' if self.group_size else 'groups'} {asked}"
        if channels % divisor:
            divisors = [str(number) for number in range(1, channels + 1) if channels % number == 0]
            raise SpecError(
                f"group: {name} does not divide the {channels} channels of a site; expected one of "
                f"{', '.join(divisors)}; clip: true allows fewer channels than that"
            )
        self._resolved = channels // divisor if self.group_size else divisor
        if self.layout == "NC" and self._resolved == channels:
            raise SpecError(
                f"group: {name} leaves groups of one channel in layout NC, where each would become 0; "
                f"expected fewer groups than the {channels} channels"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Standardize by group, then scale and shift by channel."""
        y = group_standardize(F, x, self._resolved, self.epsilon)
        return scale_shift(F, y, gamma, beta, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `group`."""
    yield Norm(
        "group",
        layer=GroupNorm,
        title="Group normalization",
        formula="y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta",
        authors="Wu, He",
        venue="ECCV",
        year=2018,
        paper="arXiv:1803.08494",
        paper_title="Group Normalization",
    )
