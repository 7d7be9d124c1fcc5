"""Layers with one fault each in what they compute."""

from __future__ import annotations

from faulty.sound import EPSILON, Batch, Example, Instance, Swish, column

from normlab.backend.mxnet import mxnet
from normlab.norms.ways import NormLayer


class StatisticsOverExamples(Example):
    """Takes statistics over the examples, which it does not declare."""

    axes = (0, 2)


class StatisticsOverRows(Instance):
    """Takes statistics over the last axis of an image alone."""

    layouts = ("NCHW",)

    def rows(self, F, x):
        return x


class EpsilonOutside(Batch):
    """Adds epsilon to the deviation, though its reference adds it to the variance."""

    def deviation(self, F, var):
        return F.sqrt(var) + self.epsilon


class KeepsTooMuch(Batch):
    """Keeps 99 % of its running statistics, though its reference keeps 90 %."""

    def remember(self, F, running_mean, running_var, mean, var):
        self.update(running_mean=0.99 * running_mean + 0.01 * mean, running_var=0.99 * running_var + 0.01 * var)


class GradientCut(Batch):
    """Lets no gradient through."""

    def between(self, F, y):
        return F.BlockGrad(y)


class GradientWithoutVariance(Batch):
    """Takes the deviation for a constant."""

    def deviation(self, F, var):
        return F.BlockGrad(super().deviation(F, var))


class _Triple(mxnet().autograd.Function):
    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        return self.factor * dy


class OwnBackward(NormLayer):
    """Triples, with a backward pass of its own that is right."""

    layouts = ("NC", "NCHW")
    hybridizable = False
    factor = 3

    def hybrid_forward(self, F, x):
        function = _Triple()
        function.factor = self.factor
        return function(x)


class WrongBackward(OwnBackward):
    """Triples, with a backward pass of its own that doubles."""

    factor = 2


class BackwardForgotten(OwnBackward):
    """Does not say that its own backward pass can't be compiled."""

    hybridizable = True


class WrongGradientOfGamma(Batch):
    """Gives gamma twice its gradient."""

    def hybrid_forward(self, F, x, gamma, **others):
        return super().hybrid_forward(F, x, 2 * gamma - F.BlockGrad(gamma), **others)


class UnusedParameter(Example):
    """Declares a parameter that it does not use."""

    def __init__(self, **site):
        super().__init__(**site)
        self.parameter("rho")

    def hybrid_forward(self, F, x, rho, **others):
        return super().hybrid_forward(F, x, **others)


class HalfOverflows(Example):
    """Squares in float16 whatever the type of its input."""

    def deviation(self, F, var):
        return F.sqrt(F.cast(F.cast(var, "float16"), "float32") + EPSILON)


class SquaresFirst(Batch):
    """Takes the variance for the mean square minus the squared mean, which cancel."""

    def statistics(self, F, rows):
        mean = F.mean(rows, axis=(0, 2))
        return mean, F.relu(F.mean(F.square(rows), axis=(0, 2)) - F.square(mean))


class WithoutEpsilon(Example):
    """Divides by the deviation alone."""

    def deviation(self, F, var):
        return F.sqrt(var)


class UnbiasedOverPositions(Instance):
    """Divides by the number of positions less one, of which there may be one."""

    def variance(self, F, centered):
        count = F.sum(F.ones_like(centered), axis=-1, keepdims=True)
        return F.broadcast_div(F.sum(F.square(centered), axis=-1, keepdims=True), count - 1)


class Exponential(Example):
    """Overflows on large activations."""

    def standardize(self, F, rows):
        return super().standardize(F, F.log(1 + F.exp(rows)))


class NanMasked(Swish):
    """Ends in the fast relu, which turns NaN into 0."""

    def hybrid_forward(self, F, x, **parameters):
        return F.Activation(super().hybrid_forward(F, x, **parameters), act_type="relu")


class NanShown(Swish):
    """Ends in the relu that keeps NaN: the right one of the two."""

    def hybrid_forward(self, F, x, **parameters):
        return F.relu(super().hybrid_forward(F, x, **parameters))


class WrongShape(Batch):
    """Loses the axes of positions in one layout."""

    def hybrid_forward(self, F, x, **parameters):
        y = super().hybrid_forward(F, x, **parameters)
        return F.reshape(y, (0, 0, -1)) if self.layout == "NCHW" else y


class NothingWithoutPositions(Instance):
    """Takes statistics over positions where there are none, which leaves zeros."""

    layouts = ("NC", "NCHW")


class ChangesItsInput(Example):
    """Works in place where it can."""

    hybridizable = False

    def hybrid_forward(self, F, x, **parameters):
        if not mxnet().autograd.is_recording():
            x *= 1.5
        return super().hybrid_forward(F, x, **parameters)


class BetaMultiplies(Example):
    """Has a beta that shifts nothing."""

    def hybrid_forward(self, F, x, gamma, beta):
        rows = F.broadcast_mul(self.standardize(F, F.reshape(x, (0, 0, -1))), column(F, gamma))
        centered = F.broadcast_sub(rows, F.mean(rows, axis=(0, 2), keepdims=True))
        return F.reshape_like(F.broadcast_mul(centered, column(F, 1 + beta)), x)


class HiddenActivation(Example):
    """Applies a relu that it does not declare."""

    def hybrid_forward(self, F, x, **parameters):
        return F.relu(super().hybrid_forward(F, x, **parameters))


class ReplacesNothing(Example):
    """Declares that it replaces the activation, and does not."""

    replaces_activation = True


class LearnsNothing(Example):
    """Lets hardly anything through."""

    def hybrid_forward(self, F, x, **parameters):
        return F.BlockGrad(1e-6 * super().hybrid_forward(F, x, **parameters))


class WearsOut(OwnBackward):
    """Gives another gradient each time it is asked."""

    def hybrid_forward(self, F, x):
        function = _WearingOut()
        return function(x)


class _WearingOut(mxnet().autograd.Function):
    def __init__(self):
        super().__init__()
        self.factor = 1.5

    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        self.factor *= 2
        return self.factor * dy
