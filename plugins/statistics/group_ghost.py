"""Batch and group normalization in one (Summers and Dinneen, ICLR 2020, arXiv:1906.03548), sections 3.1 to 3.3.

    y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta

mean_G and the biased var_G are taken over a group of adjacent examples, a group of adjacent channels, and all
positions. One example and several channels is group normalization, several examples and one channel is ghost batch
normalization, all examples and one channel is batch normalization. In prediction

    mean_G = (1 - a) running mean + a mean of the example,   E(x^2) likewise,   var_G = E(x^2) - mean_G^2

each averaged over the group of channels, where a is `example_weight`.

Conventions, those of the authors' code: epsilon is inside the root. Running mean and mean square are kept for each
channel, averaged over the whole batch, so that in float32 prediction wants means of less than some hundred deviations;
`momentum` is the share that is kept, 0.99. a is 0, which is to be tuned on validation data. Fewer channels than
`groups` make groups of one channel. The default, 2 examples and 32 groups, is the code's example of what is new. Where
`examples` does not divide the batch, the last group has fewer (the code fails). The code can decay gamma towards 1
instead of 0: that is the optimizer's, and is not done here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Optional

from pydantic import Field, PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import (
    Moments,
    batch_size,
    chunk_sizes,
    chunk_standardize,
    example_moments,
    group_mean,
    moving_average,
    position_mean,
    scale_shift,
    standardize_examples,
)


class GroupGhostNorm(NormLayer):
    """Standardize groups of channels over groups of examples and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_square `(C,)` from 1.

    Args:
        examples: Number of examples of a group.
        groups: Number of groups of channels.
        group_size: Channels of a group, instead of the number of groups.
        example_weight: Share of the example's own moments in prediction.
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running moments that each training step keeps.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        examples: PositiveInt = 2,
        groups: PositiveInt = 32,
        group_size: Optional[PositiveInt] = None,
        example_weight: Annotated[float, Field(ge=0, le=1)] = 0.0,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.99,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.examples = examples
        self.groups = groups
        self.group_size = group_size
        self.example_weight = example_weight
        self.epsilon = epsilon
        self.momentum = momentum
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_square", "ones")

    def prepare(self) -> None:
        """Settle the number of groups.

        Raises:
            SpecError: The groups do not divide the channels, or leave a single value to standardize.
        """
        channels = self.in_channels
        asked = min(self.group_size or self.groups, channels)
        name = "group_size" if self.group_size else "groups"
        if channels % asked:
            raise SpecError(
                f"group_ghost: {name} {asked} does not divide the {channels} channels of a site; "
                "expected a number that does"
            )
        self._resolved = channels // asked if self.group_size else asked
        if self.layout == "NC" and self.examples == 1 and self._resolved == channels:
            raise SpecError(
                f"group_ghost: {name} {asked} and one example leave a single value in layout NC, which would become 0; "
                "expected more examples or fewer groups"
            )

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_square: Any) -> Any:
        """Standardize, and in training move the running moments."""
        if self.training:
            return self._train(F, x, gamma, beta, running_mean, running_square)
        if not self.example_weight:
            return self._predict(F, x, gamma, beta, running_mean, running_square)
        own = example_moments(F, x, self.in_channels, self.layout)
        square = own.variance + F.square(own.mean)
        of = self._kept(F, self._weighed(F, running_mean, own.mean), self._weighed(F, running_square, square))
        return standardize_examples(F, x, of, gamma, beta, self.in_channels, self.epsilon, self.layout)

    def _train(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_square: Any) -> Any:
        count, groups = batch_size(F, x), self._resolved
        sizes = chunk_sizes(count, self.examples)
        y, of = chunk_standardize(F, x, gamma, beta, self.in_channels, self.epsilon, sizes, groups=groups)
        if groups == self.in_channels:
            # the share of the batch that each group of examples is; the last may be smaller
            shares = F.minimum(count - self.examples * F.contrib.arange_like(of.mean, axis=0), self.examples) / count
            mean, square = (F.dot(shares, value) for value in (of.mean, of.variance + F.square(of.mean)))
        else:
            mean, square = (self._of_batch(F, value) for value in (x, F.square(x)))
        self.update(
            running_mean=moving_average(running_mean, mean, self.momentum),
            running_square=moving_average(running_square, square, self.momentum),
        )
        return y

    def _of_batch(self, F: Any, x: Any) -> Any:
        """The mean of each channel over the batch and all positions, `(C,)`, through which no gradient flows."""
        x = F.BlockGrad(x)
        return F.mean(x if self.layout == "NC" else position_mean(F, x, self.in_channels), axis=0)

    def _predict(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_square: Any) -> Any:
        """Without moments of the example's own: the same for all examples."""
        rows = [F.expand_dims(F.BlockGrad(value), axis=0) for value in (running_mean, running_square)]
        mean, variance = (F.reshape(value, shape=(-1,)) for value in self._kept(F, *rows))
        scale = gamma * F.rsqrt(variance + self.epsilon)
        return scale_shift(F, x, scale, beta - mean * scale, self.in_channels)

    def _weighed(self, F: Any, running: Any, own: Any) -> Any:
        kept = F.expand_dims(F.BlockGrad((1 - self.example_weight) * running), axis=0)
        return F.broadcast_add(self.example_weight * own, kept)

    def _kept(self, F: Any, mean: Any, square: Any) -> Moments:
        """Averages over groups of channels; what rounding makes negative is a variance of 0."""
        mean, square = (group_mean(F, value, self._resolved) for value in (mean, square))
        return Moments(mean, F.relu(square - F.square(mean)))


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `group_ghost`."""
    yield Norm(
        "group_ghost",
        layer=GroupGhostNorm,
        title="Normalization over groups of examples and channels",
        formula="y = gamma (x - mean_G) / sqrt(var_G + epsilon) + beta, G some examples and channels",
        authors="Summers, Dinneen",
        venue="ICLR",
        year=2020,
        paper="arXiv:1906.03548",
        paper_title="Four Things Everyone Should Know to Improve Batch Normalization",
    )
