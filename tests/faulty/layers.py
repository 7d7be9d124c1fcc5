"""Layers with one fault each in what they compute."""

from __future__ import annotations

from faulty.sound import EPSILON, Batch, Example, Instance, Swish, column

from normlab.backend.mxnet import mxnet
from normlab.norms.ways import NormLayer


class StatisticsOverExamples(Example):
    """Computes statistics over the examples without declaring it."""

    axes = (0, 2)


class StatisticsOverRows(Instance):
    """Computes statistics over the last axis of an image only."""

    layouts = ("NCHW",)

    def rows(self, F, x):
        return x


class EpsilonOutside(Batch):
    """Adds epsilon to the deviation, while its reference adds it to the variance."""

    def deviation(self, F, var):
        return F.sqrt(var) + self.epsilon


class KeepsTooMuch(Batch):
    """Keeps 99 % of its running statistics, while its reference keeps 90 %."""

    def remember(self, F, running_mean, running_var, mean, var):
        self.update(running_mean=0.99 * running_mean + 0.01 * mean, running_var=0.99 * running_var + 0.01 * var)


class GradientCut(Batch):
    """Blocks the gradient."""

    def between(self, F, y):
        return F.BlockGrad(y)


class GradientWithoutVariance(Batch):
    """Treats the deviation as a constant."""

    def deviation(self, F, var):
        return F.BlockGrad(super().deviation(F, var))


class _Triple(mxnet().autograd.Function):
    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        return self.factor * dy


class CustomBackward(NormLayer):
    """Multiplies by 3, with a custom backward pass that is correct."""

    layouts = ("NC", "NCHW")
    hybridizable = False
    factor = 3

    def hybrid_forward(self, F, x):
        function = _Triple()
        function.factor = self.factor
        return function(x)


class WrongBackward(CustomBackward):
    """Multiplies by 3, with a custom backward pass that multiplies by 2."""

    factor = 2


class UndeclaredCustomBackward(CustomBackward):
    """Does not declare that its custom backward pass cannot be compiled."""

    hybridizable = True


class WrongGradientOfGamma(Batch):
    """Doubles the gradient of gamma."""

    def hybrid_forward(self, F, x, gamma, **others):
        return super().hybrid_forward(F, x, 2 * gamma - F.BlockGrad(gamma), **others)


class UnusedParameter(Example):
    """Declares a parameter without using it."""

    def __init__(self, **site):
        super().__init__(**site)
        self.parameter("rho")

    def hybrid_forward(self, F, x, rho, **others):
        return super().hybrid_forward(F, x, **others)


class HalfOverflows(Example):
    """Rounds the variance to float16 whatever the type of its input."""

    def deviation(self, F, var):
        return F.sqrt(F.cast(F.cast(var, "float16"), "float32") + EPSILON)


class SquaresFirst(Batch):
    """Computes the variance as mean square minus squared mean, which cancel."""

    def statistics(self, F, rows):
        mean = F.mean(rows, axis=(0, 2))
        return mean, F.relu(F.mean(F.square(rows), axis=(0, 2)) - F.square(mean))


class WithoutEpsilon(Example):
    """Divides by the deviation alone."""

    def deviation(self, F, var):
        return F.sqrt(var)


class UnbiasedOverPositions(Instance):
    """Divides by the number of positions minus one, which may be zero."""

    def variance(self, F, centered):
        count = F.sum(F.ones_like(centered), axis=-1, keepdims=True)
        return F.broadcast_div(F.sum(F.square(centered), axis=-1, keepdims=True), count - 1)


class Exponential(Example):
    """Overflows for large activations."""

    def standardize(self, F, rows):
        return super().standardize(F, F.log(1 + F.exp(rows)))


class NanMasked(Swish):
    """Ends in the fast relu, which turns NaN into 0."""

    def hybrid_forward(self, F, x, **parameters):
        return F.Activation(super().hybrid_forward(F, x, **parameters), act_type="relu")


class NanShown(Swish):
    """Ends in the relu that keeps NaN, the correct one of the two."""

    def hybrid_forward(self, F, x, **parameters):
        return F.relu(super().hybrid_forward(F, x, **parameters))


class WrongShape(Batch):
    """Drops the axes of positions in one layout."""

    def hybrid_forward(self, F, x, **parameters):
        y = super().hybrid_forward(F, x, **parameters)
        return F.reshape(y, (0, 0, -1)) if self.layout == "NCHW" else y


class NothingWithoutPositions(Instance):
    """Computes statistics over positions where there are none, which gives zeros."""

    layouts = ("NC", "NCHW")


class ChangesItsInput(Example):
    """Changes its input in place unless it is recorded."""

    hybridizable = False

    def hybrid_forward(self, F, x, **parameters):
        if not mxnet().autograd.is_recording():
            x *= 1.5
        return super().hybrid_forward(F, x, **parameters)


class BetaMultiplies(Example):
    """Has a beta that does not shift."""

    def hybrid_forward(self, F, x, gamma, beta):
        rows = F.broadcast_mul(self.standardize(F, F.reshape(x, (0, 0, -1))), column(F, gamma))
        centered = F.broadcast_sub(rows, F.mean(rows, axis=(0, 2), keepdims=True))
        return F.reshape_like(F.broadcast_mul(centered, column(F, 1 + beta)), x)


class HiddenActivation(Example):
    """Applies a relu without declaring it."""

    def hybrid_forward(self, F, x, **parameters):
        return F.relu(super().hybrid_forward(F, x, **parameters))


class ReplacesNothing(Example):
    """Declares that it replaces the activation, but does not."""

    replaces_activation = True


class LearnsNothing(Example):
    """Scales its output down so far that nothing is learned."""

    def hybrid_forward(self, F, x, **parameters):
        return F.BlockGrad(1e-6 * super().hybrid_forward(F, x, **parameters))


class ChangingGradient(CustomBackward):
    """Gives another gradient in each backward pass."""

    def hybrid_forward(self, F, x):
        function = _ChangingFactor()
        return function(x)


class _ChangingFactor(mxnet().autograd.Function):
    def __init__(self):
        super().__init__()
        self.factor = 1.5

    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        self.factor *= 2
        return self.factor * dy
