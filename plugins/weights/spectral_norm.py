"""Spectral normalization (Miyato, Kataoka, Koyama and Yoshida, ICLR 2018, arXiv:1802.05957), section 2 and algorithm 1.

    w = v / sigma,   sigma = left' V right
    left = V right / ||V right||,   right = V' left / ||V' left||   (power iteration, from those of the step before)

V is the weight v as a matrix, one row an output unit; sigma tends to its largest singular value. left and right, the
paper's u and v, are state, which each training step moves, and constants to the gradient. Prediction uses them as they
are.

Conventions: of a convolution's kernel it is the matrix that is normalized, not the convolution as a linear map, as in
the paper. The paper moves the two once a step. It starts them at random; PyTorch, from there, lets 15 iterations go
before the first step, so that no first prediction divides by a sigma that is far too small. So does this, from the
longest row instead of a random one: `warm_up`. With 0 they start at random and stay so. Within a step PyTorch's order
is that of above, the paper has right first: the same but for where it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from normlab import Norm, NormWeight, hookimpl
from normlab.ops import unit_scale_shift


class SpectralNorm(NormWeight):
    """Divide a weight by an estimate of its largest singular value.

    Shapes: weight `(out, in)` or `(out, in / groups, kernel ...)`, and the same out. No parameters. State: u `(out,)`
    and v, one value for each weight of a unit, of length 1. Prediction uses them without moving them.

    Args:
        iterations: Power iterations of a training step.
        warm_up: Power iterations before the first step, from the longest row; with 0, u and v start at random.
        epsilon: Least length that u and v are divided by.
    """

    def __init__(
        self,
        iterations: PositiveInt = 1,
        warm_up: NonNegativeInt = 15,
        epsilon: PositiveFloat = 1e-12,
        **site: Any,
    ) -> None:
        super().__init__(**site)
        self.iterations = iterations
        self.warm_up = warm_up
        self.epsilon = epsilon
        self.state("u", _direction)
        self.state("v", _direction, shape=lambda _: (self.unit_size,))

    def start(self, weight: Any) -> Mapping[str, Any]:
        """Let u and v come near to the singular vectors of the weight as it was drawn."""
        rows = weight.reshape(len(weight), -1)
        if not self.warm_up or not rows.any():
            return {}
        v = rows[(rows**2).sum(axis=1).argmax()]
        for _ in range(self.warm_up):
            u = rows @ v
            u = u / max((u**2).sum() ** 0.5, self.epsilon)
            v = rows.T @ u
            v = v / max((v**2).sum() ** 0.5, self.epsilon)
        return {"u": u, "v": v}

    def hybrid_forward(self, F: Any, weight: Any, u: Any, v: Any) -> Any:
        """Divide, and in training take steps of power iteration first."""
        rows = F.reshape(weight, shape=(0, -1))
        u, v = F.reshape(u, shape=(-1, 1)), F.reshape(v, shape=(-1, 1))
        if self.training:
            fixed = F.BlockGrad(rows)
            for _ in range(self.iterations):
                u = self._unit(F, F.dot(fixed, v))
                v = self._unit(F, F.dot(fixed, u, transpose_a=True))
            self.update(u=F.reshape(u, shape=(-1,)), v=F.reshape(v, shape=(-1,)))
        u, v = F.BlockGrad(u), F.BlockGrad(v)
        sigma = F.dot(u, F.dot(rows, v), transpose_a=True)
        scale = F.reshape(F.broadcast_div(F.ones_like(u), sigma), shape=(-1,))
        return unit_scale_shift(F, weight, scale, F.zeros_like(scale), self.out_channels)

    def _unit(self, F: Any, vector: Any) -> Any:
        length = F.sqrt(F.sum(F.square(vector), keepdims=True))
        return F.broadcast_div(vector, F.maximum(length, self.epsilon))


def _direction(shape: tuple[int, ...], generator: Any) -> Any:
    vector = generator.standard_normal(shape)
    return vector / (vector**2).sum() ** 0.5


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `spectral_norm`."""
    yield Norm(
        "spectral_norm",
        weight=SpectralNorm,
        title="Spectral normalization",
        formula="w = v / sigma(v), the largest singular value by power iteration",
        authors="Miyato, Kataoka, Koyama, Yoshida",
        venue="ICLR",
        year=2018,
        paper="arXiv:1802.05957",
        paper_title="Spectral Normalization for Generative Adversarial Networks",
        expected_failures={
            "gradient_of_input": "the gradient takes u and v for constants, and finite differences move them in "
            "training, where they are still on their way to the singular vectors",
        },
    )
