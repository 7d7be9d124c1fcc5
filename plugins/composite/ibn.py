"""Instance-batch normalization, the layer of IBN-Net-a (Pan, Luo, Shi and Tang, ECCV 2018, arXiv:1807.09441).

    y = gamma (x - mean) / sqrt(var + epsilon) + beta

For the first channels mean and biased variance are taken over the positions of each example's channel; for the others
over the batch and all positions, for each channel. In prediction running statistics stand for those of the batch.

Conventions, those of the authors' code: the first int(ratio C) channels, half of them, are normalized by instance. Both
parts have gamma and beta. epsilon, 1e-5, is inside both roots; `momentum` is the share that is kept; the running
variance follows the unbiased estimate. The paper puts the layer after the first convolution of a residual block only;
here it is at every site. IBN-Net-b, instance norm after the sum of a block, is another method. Without positions,
layout NC, the first part would be 0: that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import BatchLayer, Norm, SpecError, hookimpl
from normlab.ops import group_standardize, reshape_back


class InstanceBatchNorm(BatchLayer):
    """Standardize the first channels over each example's positions, the others over the batch.

    Shapes: x and y `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0. State, for the
    channels by batch: running_mean from 0, running_var from 1.

    Args:
        ratio: Share of the channels that are normalized by instance, rounded down.
        epsilon: Added to the variances, inside the roots.
        momentum: Share of the running statistics that each training step keeps.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NCHW", "NTC")

    def __init__(
        self,
        ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(epsilon, momentum, scale=scale, center=center, **site)
        self.ratio = ratio
        self.affine()
        self.state("running_mean", "zeros", shape=self._by_batch)
        self.state("running_var", "ones", shape=self._by_batch)

    def _by_batch(self, channels: int) -> tuple[int]:
        return (channels - int(channels * self.ratio),)

    def prepare(self) -> None:
        """Refuse a ratio that leaves no channel to instance normalization.

        Raises:
            SpecError: It does.
        """
        if not int(self.in_channels * self.ratio):
            raise SpecError(
                f"ibn: ratio {self.ratio} of the {self.in_channels} channels of a site is less than one; "
                "expected a larger ratio"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Standardize each part, scale and shift it by channel."""
        first = int(self.in_channels * self.ratio)
        # of four axes, parts of 4 or 12 channels between convolutions make concat divide by zero or fail in oneDNN
        planes = F.reshape(x, shape=(0, 0, -1))
        part, others = self._parts(F, planes, first, axis=1)
        (own_gamma, gamma), (own_beta, beta) = (self._parts(F, vector, first, axis=0) for vector in (gamma, beta))
        by_instance = group_standardize(F, part, first, self.epsilon, own_gamma, own_beta, stays_plain=True)
        by_batch = self.standardized(F, others, gamma, beta, running_mean, running_var)
        return reshape_back(F, F.concat(by_instance, by_batch, dim=1), x)

    def _parts(self, F: Any, values: Any, first: int, axis: int) -> list[Any]:
        """The first channels, and the others; channels are on the axis."""
        if 2 * first == self.in_channels:  # half the time of two slices, whose gradients are two arrays of all channels
            return list(F.split(values, num_outputs=2, axis=axis))
        return [F.slice_axis(values, axis=axis, begin=begin, end=end) for begin, end in ((0, first), (first, None))]


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `ibn`."""
    yield Norm(
        "ibn",
        layer=InstanceBatchNorm,
        title="Instance-batch normalization",
        formula="y = IN(x) in the first channels, BN(x) in the others",
        authors="Pan, Luo, Shi, Tang",
        venue="ECCV",
        year=2018,
        paper="arXiv:1807.09441",
        paper_title="Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net",
    )
