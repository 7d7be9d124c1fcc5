"""Online normalization (Chiley and seven others, NeurIPS 2019, arXiv:1905.05894), sections 3 and 4.

For each example i in turn, with the statistics that those before it have left:

    z = (x_i - mean) / sqrt(var + epsilon)
    var  <- a var + (1 - a) var_i + a (1 - a) (mean_i - mean)^2
    mean <- a mean + (1 - a) mean_i
    y = gamma z + beta, compensated: y / sqrt(mean_I(y^2) + epsilon), over all of the example

mean_i and var_i are taken over the positions, for each channel. The backward pass is a control process of its own,
which keeps the gradient orthogonal, over the examples, to z and to 1, with b for a; for each example in turn

    d = dL/dz - (1 - b) error_y z,                error_y   <- error_y + mean_i(d z)
    dL/dx = d / sqrt(var + epsilon) - (1 - b) error_one,   error_one <- error_one + mean_i(dL/dx)

In prediction mean and var are as training left them. An example depends on those before it in the batch.

Conventions: a is `momentum`, 0.999, and b `backward_momentum`, 0.99, shares that are kept. Against the errors of
statistics that lag behind the paper divides each example by its root mean square (layer scaling); the authors' later
code clips activations at 5 instead, or does neither: `compensation`. epsilon is inside the roots, the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import (
    Moments,
    apply_custom_gradient,
    center_scale_shift,
    example_scale_shift,
    group_mean,
    position_mean,
    position_moments,
    scale_shift,
)

_CLIP = 5.0


class _Passed(NamedTuple):
    """What the forward pass hands on.

    Attributes:
        z: The standardized activations.
        deviation: What each was divided by, `(N, C)`.
        mean: mean_i(z), `(N, C)`.
        square: mean_i(z^2), `(N, C)`.
    """

    z: Any
    deviation: Any
    mean: Any
    square: Any


class OnlineNorm(NormLayer):
    """Standardize each example by statistics of those before it.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_var `(C,)` from 1, and error_y and error_one `(C,)` from 0, which the
    backward pass moves.

    Args:
        epsilon: Added to the variance and to the mean square, inside the roots.
        momentum: Share of the running statistics that each example keeps.
        backward_momentum: The same for the errors of the backward pass.
        compensation: Against statistics that lag behind: `layer_scaling`, `clamping` or `none`.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    hybridizable = False

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.999,
        backward_momentum: Annotated[float, Field(ge=0, le=1)] = 0.99,
        compensation: Literal["layer_scaling", "clamping", "none"] = "layer_scaling",
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.backward_momentum = backward_momentum
        self.compensation = compensation
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")
        self.state("error_y", "zeros")
        self.state("error_one", "zeros")

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, error_y: Any, error_one: Any
    ) -> Any:
        """Standardize, scale, shift and compensate, and in training move the statistics."""
        channels = self.in_channels
        if self.training:

            def forward(error_y: Any, error_one: Any) -> Any:
                return self._pass(F, x, running_mean, running_var, (error_y, error_one))

            z = apply_custom_gradient(forward, x, (), (error_y, error_one))
            return self._compensated(F, scale_shift(F, z, gamma, beta, channels))
        scale = gamma * F.rsqrt(running_var + self.epsilon)
        return self._compensated(F, center_scale_shift(F, x, running_mean, scale, beta, channels))

    def _compensated(self, F: Any, y: Any) -> Any:
        if self.compensation == "clamping":
            return F.clip(y, -_CLIP, _CLIP)
        if self.compensation == "none":
            return y
        squares = position_mean(F, F.square(y), self.in_channels)
        scales = F.rsqrt(group_mean(F, squares, 1) + self.epsilon)
        return example_scale_shift(F, y, scales, F.zeros_like(scales), self.in_channels)

    def _pass(self, F: Any, x: Any, running_mean: Any, running_var: Any, errors: tuple[Any, Any]) -> Any:
        """The standardized activations, and the backward pass from their gradient."""
        keep, new = self.momentum, 1 - self.momentum
        of = position_moments(F, x, self.in_channels)
        mean, last_mean = _in_turn(F, F.ones_like(of.mean) * keep, new * of.mean, running_mean)
        added = new * of.variance + keep * new * F.square(of.mean - mean)
        variance, last_variance = _in_turn(F, F.ones_like(of.mean) * keep, added, running_var)
        self.update(running_mean=last_mean, running_var=last_variance)
        deviation = F.sqrt(variance + self.epsilon)
        ones = F.ones_like(mean)
        centred = example_scale_shift(F, x, ones, -mean, self.in_channels)
        z = example_scale_shift(F, centred, 1 / deviation, F.zeros_like(mean), self.in_channels)
        passed = self._passed(F, z, of, mean, deviation)
        return z, lambda gradient: self._back(F, gradient, passed, *errors)

    def _passed(self, F: Any, z: Any, of: Moments, mean: Any, deviation: Any) -> _Passed:
        mean_of_z = (of.mean - mean) / deviation
        return _Passed(z, deviation, mean_of_z, of.variance / F.square(deviation) + F.square(mean_of_z))

    def _back(self, F: Any, gradient: Any, passed: _Passed, error_y: Any, error_one: Any) -> Sequence[Any]:
        """The control process: the gradient of x, and the errors after the last example."""
        z, deviation, mean, square = passed
        lost = 1 - self.backward_momentum
        channels = self.in_channels
        along = position_mean(F, gradient * z, channels)
        errors_y, last_y = _in_turn(F, 1 - lost * square, along, error_y)
        added = (position_mean(F, gradient, channels) - lost * errors_y * mean) / deviation
        errors_one, last_one = _in_turn(F, F.ones_like(added) * (1 - lost), added, error_one)
        towards = example_scale_shift(F, gradient, 1 / deviation, -lost * errors_one, channels)
        off = example_scale_shift(F, z, lost * errors_y / deviation, F.zeros_like(added), channels)
        return towards - off, last_y, last_one


def _in_turn(F: Any, factors: Any, added: Any, start: Any) -> tuple[Any, Any]:
    """What value <- factor value + added makes of a start, example by example.

    Two maps of this kind one after the other are one of this kind, so that joining each with what is 1, 2, 4 ...
    examples before it takes as many operations as N has binary digits.

    Args:
        F: `mx.nd`.
        factors: `(N, C)`.
        added: `(N, C)`.
        start: `(C,)`.

    Returns:
        The value before each example, `(N, C)`, and after the last, `(C,)`.
    """
    start = F.expand_dims(start, axis=0)
    examples, reach = len(added), 1
    while reach < examples:
        before = F.slice_axis(added, axis=0, begin=0, end=examples - reach)
        factors_before = F.slice_axis(factors, axis=0, begin=0, end=examples - reach)
        these = F.slice_axis(factors, axis=0, begin=reach, end=None)
        joined = F.slice_axis(added, axis=0, begin=reach, end=None) + these * before
        added = F.concat(F.slice_axis(added, axis=0, begin=0, end=reach), joined, dim=0)
        factors = F.concat(F.slice_axis(factors, axis=0, begin=0, end=reach), these * factors_before, dim=0)
        reach *= 2
    after = F.broadcast_mul(factors, start) + added
    values = F.concat(start, after, dim=0)
    ends = F.slice_axis(values, axis=0, begin=examples, end=None)
    return F.slice_axis(values, axis=0, begin=0, end=examples), F.reshape(ends, shape=(-1,))


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `online`."""
    yield Norm(
        "online",
        layer=OnlineNorm,
        title="Online normalization",
        formula="y = gamma (x_i - mean_{i-1}) / sqrt(var_{i-1} + epsilon) + beta, divided by its root mean square",
        authors="Chiley, Sharma, Kosson, Koster, Reece, Samaniego de la Fuente, Subbiah, James",
        venue="NeurIPS",
        year=2019,
        paper="arXiv:1905.05894",
        paper_title="Online Normalization for Training Neural Networks",
        expected_failures={
            "batch_matters_as_declared": "the first example of a batch comes before all others",
            "gradient_of_input": "the backward pass is the method's own, not the derivative",
            "state_moves_in_training": "the errors are statistics of gradients, which the backward pass moves",
            "state_moves_once": "the errors are statistics of gradients, which the backward pass moves",
        },
    )
