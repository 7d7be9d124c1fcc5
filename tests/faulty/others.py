"""Methods of the other ways with one fault each."""

from __future__ import annotations

import numpy as np
from faulty.sound import Ball, Clip, Halve, Residual, Weight


class WeightGradientCut(Weight):
    """Treats the weight's norm as a constant."""

    def hybrid_forward(self, F, weight, g):
        return super().hybrid_forward(F, F.BlockGrad(weight), g) + weight - F.BlockGrad(weight)


class WeightFlattened(Weight):
    """Drops the axes of the kernel."""

    def hybrid_forward(self, F, weight, g):
        return F.reshape(super().hybrid_forward(F, weight, g), (0, -1))


class StartsUndeclared(Weight):
    """Returns a start for a parameter that it does not declare."""

    def start(self, weight):
        return {"gain": np.ones(len(weight))}


class ResidualMasksNan(Residual):
    """Hides NaN in the branch."""

    def hybrid_forward(self, F, branch, shortcut, alpha):
        masked = F.Activation(branch, act_type="relu") - F.Activation(-branch, act_type="relu")
        return super().hybrid_forward(F, masked, shortcut, alpha)


class ResidualGradientCut(Residual):
    """Blocks the gradient of the shortcut."""

    def hybrid_forward(self, F, branch, shortcut, alpha):
        return super().hybrid_forward(F, branch, F.BlockGrad(shortcut), alpha)


class ClipHidesNan(Clip):
    """Replaces NaN by 0."""

    def __call__(self, F, name, weight, gradient):
        clean = F.where(gradient == gradient, gradient, F.zeros_like(gradient))  # noqa: PLR0124 - finds NaN
        return super().__call__(F, name, weight, clean)


class ClipsInPlace(Clip):
    """Writes into the gradient."""

    def __call__(self, F, name, weight, gradient):
        gradient[:] = super().__call__(F, name, weight, gradient)
        return gradient


class ClipsByHistory(Clip):
    """Clips to the smallest norm seen so far."""

    def __call__(self, F, name, weight, gradient):
        self.most = min(self.most, F.norm(gradient).asscalar())
        return super().__call__(F, name, weight, gradient)


class DividesByNorm(Clip):
    """Divides by a norm that may be 0."""

    def __call__(self, F, name, weight, gradient):
        return gradient / F.norm(gradient)


class ClipsNothing(Clip):
    """Clips to a norm that no gradient reaches."""

    def __init__(self, most: float = 1e12):
        super().__init__(most)


class FlattensGradient(Clip):
    """Drops the axes of the gradient."""

    def __call__(self, F, name, weight, gradient):
        return F.reshape(super().__call__(F, name, weight, gradient), (-1,))


class ClipsOnFirstDevice(Clip):
    """Leaves its result on the first device."""

    def __call__(self, F, name, weight, gradient):
        return super().__call__(F, name, weight, gradient).as_in_context(type(gradient.context)("cpu", 0))


class Shrinks(Ball):
    """Shrinks values that are in the ball already."""

    def __call__(self, F, name, value):
        return super().__call__(F, name, value) * 0.9


class HalvesByChance(Halve):
    """Multiplies by a number drawn without a key."""

    def __call__(self, network, images):
        for parameter in network.parameters.values():
            parameter.set_data(parameter.data() * np.random.default_rng().uniform())


class HalvesNothing(Halve):
    """Changes nothing."""

    def __call__(self, network, images):
        pass


class StartsInfinite(Halve):
    """Divides by 0."""

    def __call__(self, network, images):
        for parameter in network.parameters.values():
            parameter.set_data(parameter.data() / 0)
