"""Correct methods; each faulty one differs from one of them in one thing."""

from __future__ import annotations

import numpy as np

from normlab.norms.ways import NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight

EPSILON = 1e-3


class Batch(NormLayer):
    """Batch normalization from plain operators, in parts that subclasses can override."""

    layouts = ("NC", "NCHW")
    depends_on_batch = True
    minimum_batch = 2

    def __init__(self, epsilon: float = EPSILON, **site):
        super().__init__(**site)
        self.epsilon = epsilon
        self.affine()
        self.state("running_mean", "zeros")
        self.state("running_var", "ones")

    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        rows = F.reshape(x, (0, 0, -1))
        mean, var = self.statistics(F, rows)
        if self.training:
            self.remember(F, running_mean, running_var, mean, var)
        else:
            mean, var = self.statistics_at_inference(F, mean, var, running_mean, running_var)
        y = F.broadcast_div(F.broadcast_sub(rows, column(F, mean)), column(F, self.deviation(F, var)))
        y = F.broadcast_add(F.broadcast_mul(self.between(F, y), column(F, gamma)), column(F, beta))
        return F.reshape_like(y, x)

    def statistics(self, F, rows):
        mean = F.mean(rows, axis=(0, 2))
        return mean, F.mean(F.square(F.broadcast_sub(rows, column(F, mean))), axis=(0, 2))

    def remember(self, F, running_mean, running_var, mean, var):
        self.update(running_mean=0.9 * running_mean + 0.1 * mean, running_var=0.9 * running_var + 0.1 * var)

    def statistics_at_inference(self, F, mean, var, running_mean, running_var):
        return running_mean, running_var

    def deviation(self, F, var):
        return F.sqrt(var + self.epsilon)

    def between(self, F, y):
        return y

    def reference(self, x, parameters, training):
        """Return the output and the new states, computed in NumPy."""
        axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
        gamma, beta, running_mean, running_var = (
            parameters[name].reshape(shape) for name in ("gamma", "beta", "running_mean", "running_var")
        )
        mean, var = (x.mean(axes), x.var(axes)) if training else (running_mean, running_var)
        y = gamma * (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + self.epsilon) + beta
        if not training:
            return y
        return y, {
            "running_mean": 0.9 * running_mean.ravel() + 0.1 * mean,
            "running_var": 0.9 * running_var.ravel() + 0.1 * var,
        }


def column(F, vector):
    """Reshape a vector of channels to broadcast with `(N, C, positions)`."""
    return F.reshape(vector, (1, -1, 1))


class Example(NormLayer):
    """Layer normalization over all channels and positions of an example, from plain operators."""

    layouts = ("NC", "NCHW")

    def __init__(self, **site):
        super().__init__(**site)
        self.affine()

    def hybrid_forward(self, F, x, gamma, beta):
        rows = F.reshape(x, (0, 0, -1))
        y = self.standardize(F, rows)
        y = F.broadcast_add(F.broadcast_mul(y, column(F, gamma)), column(F, beta))
        return F.reshape_like(y, x)

    def standardize(self, F, rows):
        axes = self.axes
        centered = F.broadcast_sub(rows, F.mean(rows, axis=axes, keepdims=True))
        return F.broadcast_div(centered, self.deviation(F, F.mean(F.square(centered), axis=axes, keepdims=True)))

    axes = (1, 2)

    def deviation(self, F, var):
        return F.sqrt(var + EPSILON)


class Instance(NormLayer):
    """Instance normalization: each channel of each example over its positions."""

    layouts = ("NCHW", "NTC")

    def hybrid_forward(self, F, x):
        rows = self.rows(F, x)
        centered = F.broadcast_sub(rows, F.mean(rows, axis=-1, keepdims=True))
        return F.reshape_like(F.broadcast_div(centered, F.sqrt(self.variance(F, centered) + EPSILON)), x)

    def rows(self, F, x):
        return F.reshape(x, (0, 0, -1))

    def variance(self, F, centered):
        return F.mean(F.square(centered), axis=-1, keepdims=True)


class Swish(NormLayer):
    """y = x sigmoid(gamma x) + beta, a learned activation."""

    layouts = ("NC", "NCHW")
    replaces_activation = True

    def __init__(self, **site):
        super().__init__(**site)
        self.affine()

    def hybrid_forward(self, F, x, gamma, beta):
        rows = F.reshape(x, (0, 0, -1))
        y = rows * F.sigmoid(F.broadcast_mul(rows, column(F, gamma)))
        return F.reshape_like(F.broadcast_add(y, column(F, beta)), x)


class Weight(NormWeight):
    """Weight normalization: w = g v / ||v||, with g = ||v|| at the start."""

    def __init__(self, *, out_channels: int = 0):
        super().__init__(out_channels=out_channels)
        self.parameter("g")

    def hybrid_forward(self, F, weight, g):
        rows = F.reshape(weight, (0, -1))
        norm = F.sqrt(F.sum(F.square(rows), axis=1, keepdims=True))
        return F.reshape_like(F.broadcast_mul(F.broadcast_div(rows, norm), F.reshape(g, (-1, 1))), weight)

    def start(self, weight):
        return {"g": np.linalg.norm(weight.reshape(len(weight), -1), axis=1)}


class Residual(NormResidual):
    """SkipInit: shortcut + alpha branch."""

    def __init__(self, **site):
        super().__init__(**site)
        self.parameter("alpha", 0.5, lambda _: (1,))

    def hybrid_forward(self, F, branch, shortcut, alpha):
        return F.broadcast_add(shortcut, F.broadcast_mul(branch, F.reshape(alpha, (1, 1, 1, 1))))


class Clip(NormGradient):
    """Scale a gradient down to a norm of at most 5."""

    def __init__(self, most: float = 5.0):
        self.most = most

    def __call__(self, F, name, weight, gradient):
        return gradient * (
            self.most / F.broadcast_maximum(F.norm(gradient), F.array([self.most], ctx=gradient.context))
        )


class Ball(NormProject):
    """Keep a parameter in a ball of radius 10."""

    def __call__(self, F, name, value):
        return value / F.broadcast_maximum(F.norm(value) / 10, F.ones((1,), ctx=value.context))


class Halve(NormInitialize):
    """Halve every weight at the start."""

    def __call__(self, network, images):
        for name, parameter in network.parameters.items():
            if name.endswith("weight"):
                parameter.set_data(parameter.data() / 2)
