"""Virtual batch normalization (Salimans et al., NeurIPS 2016, arXiv:1606.03498), section 3.5.

    y = gamma (x - mean) / sqrt(var + epsilon) + beta
    mean = mean_x / (n + 1) + n / (n + 1) mean_R,   var = mean of squares, mixed likewise, - mean^2

Each example is standardized by a reference batch R of n examples to which it is added itself: mean_x and mean_R are
means over the positions of a channel, of the example and of the reference. The examples of the reference are
standardized by R alone. In prediction the moments of R are those that were kept; examples do not depend on each other.

The paper chooses the reference once, before training, and sends it through the network again at each step. A site here
sees what the network makes of the step's own batch, so one of the two has to give, which `choose` decides. `each_step`
takes the first `reference` examples of each batch: they follow the weights and gradients flow through them, as in the
paper, but they are others each time, unless the data puts the same ones in front. `once` keeps the moments of the first
examples of the first step: they stay what they were, and do not follow the weights.

Conventions: epsilon is inside the root, 1e-5 as in the authors' code (TensorFlow GAN: 1e-3). Mean and mean square are
what is kept and mixed, as there. The authors start gamma from a normal distribution around 1; here it starts at 1. The
paper does not say how large the reference is (it is a whole batch in the authors' code); a batch is to have more
examples than it, else all of them are the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import Moments, example_moments, number_examples, shared_moments, standardize_examples


class VirtualBatchNorm(NormLayer):
    """Standardize each channel of each example over a reference batch, the example itself, and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: reference_mean `(C,)` from 0, reference_square `(C,)` from 1, and where the reference is chosen once,
    captured `(1,)` from 0.

    Args:
        reference: Number of examples of the reference batch.
        choose: Whether the reference is chosen anew at `each_step`, or `once`, at the first.
        epsilon: Added to the variance, inside the root.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        reference: Annotated[int, Field(ge=2)] = 16,
        choose: Literal["each_step", "once"] = "each_step",
        epsilon: PositiveFloat = 1e-5,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.reference = reference
        self.choose = choose
        self.epsilon = epsilon
        self.affine()
        self.state("reference_mean", "zeros")
        self.state("reference_square", "ones")
        if choose == "once":
            self.state("captured", "zeros", shape=lambda _: (1,))

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        gamma: Any,
        beta: Any,
        reference_mean: Any,
        reference_square: Any,
        captured: Any = None,
    ) -> Any:
        """Standardize, and in training keep the moments of the reference."""
        own = example_moments(F, x, self.in_channels, self.layout)
        kept = _kept(F, reference_mean, reference_square)
        share = F.ones_like(F.slice_axis(own.mean, axis=1, begin=0, end=1)) / (self.reference + 1)
        if not self.training:
            of = self._mixed(F, own, kept, F.BlockGrad(share))
        else:
            index, count = number_examples(F, x)
            leads = F.expand_dims(index < self.reference, axis=1)
            found = shared_moments(F, own, F.transpose(F.broadcast_div(leads, F.clip(count, 0, self.reference))))
            if captured is not None:
                fresh = F.reshape(1 - captured, shape=(1, 1))
                found = Moments(*(_chosen(F, fresh, *pair) for pair in zip(found, kept)))
                leads = F.broadcast_mul(leads, fresh)
                self.update(captured=F.ones_like(captured))
            self.update(
                reference_mean=F.reshape(found.mean, shape=(-1,)),
                reference_square=F.reshape(found.variance + F.square(found.mean), shape=(-1,)),
            )
            of = self._mixed(F, own, found, F.BlockGrad(share * (1 - leads)))
        return standardize_examples(F, x, of, gamma, beta, self.in_channels, self.epsilon, self.layout)

    def _mixed(self, F: Any, own: Moments, reference: Moments, share: Any) -> Moments:
        """Moments of the reference, `(1, C)`, with each example added, as far as its share `(N, 1)` says."""
        mean = F.broadcast_add(
            F.broadcast_mul(share, own.mean), F.broadcast_mul(1 - share, F.broadcast_like(reference.mean, own.mean))
        )
        of_own = own.variance + F.square(own.mean - mean)
        of_reference = F.broadcast_add(F.square(F.broadcast_sub(mean, reference.mean)), reference.variance)
        return Moments(mean, F.broadcast_mul(share, of_own) + F.broadcast_mul(1 - share, of_reference))


def _kept(F: Any, mean: Any, square: Any) -> Moments:
    """Moments from the states, `(1, C)` each; what rounding makes negative is a variance of 0."""
    mean, square = (F.BlockGrad(F.expand_dims(value, axis=0)) for value in (mean, square))
    return Moments(mean, F.relu(square - F.square(mean)))


def _chosen(F: Any, fresh: Any, found: Any, kept: Any) -> Any:
    return F.broadcast_mul(fresh, found) + F.broadcast_mul(1 - fresh, kept)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `virtual_batch`."""
    yield Norm(
        "virtual_batch",
        layer=VirtualBatchNorm,
        title="Virtual batch normalization",
        formula="y = gamma (x - mean_Rx) / sqrt(var_Rx + epsilon) + beta, Rx a reference batch and x",
        authors="Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen",
        venue="NeurIPS",
        year=2016,
        paper="arXiv:1606.03498",
        paper_title="Improved Techniques for Training GANs",
        expected_failures={
            "bears_a_large_mean": "what it keeps of the reference is the mean square, from which the mean's is taken"
        },
    )
