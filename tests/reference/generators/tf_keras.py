"""What the batch normalization of Keras 2 computes in its forms of later papers: renormalized, and by ghost batches."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import tensorflow as tf
from reference import inputs
from reference.archive import Case, Header, Pass, write
from tf_keras.src.layers.normalization.batch_normalization import BatchNormalizationBase

#: Exact in float32, in which the layer takes 1 less this.
MOMENTUM = 0.75

SHAPES = {"NC": ((6,), 1), "NCHW": ((6, 3, 2), 1)}


def case(
    name: str, layout: str, options: dict[str, Any], states: dict[str, str], sizes: tuple[int, ...] = (9, 12, 9, 4)
) -> Case:
    """A case of the layer, which wants the channels last here; `states` are its variables by our names."""
    shape, axis = SHAPES[layout]
    layer = BatchNormalizationBase(axis=-1, fused=False, dtype="float64", **options)
    layer.build((None, *shape[1:], shape[0]))
    # a Python number becomes float32 there
    layer.epsilon = tf.constant(options["epsilon"], "float64")
    parameters = {each: inputs.parameter(name, each, (6,)) for each in ("gamma", "beta")}
    # with ghost batches its variables have further axes of size 1
    layer.gamma.assign(parameters["gamma"].reshape(layer.gamma.shape))
    layer.beta.assign(parameters["beta"].reshape(layer.beta.shape))

    def told() -> dict[str, Any]:
        return {ours: np.array(getattr(layer, theirs)).reshape(-1) for ours, theirs in states.items()}

    start, done = told(), []
    passes = inputs.batches(name, shape, axis, sizes)
    for index, (x, cotangent) in enumerate(passes):
        with tf.GradientTape() as tape:
            x_in = tf.constant(np.moveaxis(x, axis, -1))
            tape.watch(x_in)
            y = layer(x_in, training=index < len(passes) - 1)
        gradients = tape.gradient(y, [x_in, layer.gamma, layer.beta], tf.constant(np.moveaxis(cotangent, axis, -1)))
        x_gradient, gamma, beta = (value.numpy() for value in gradients)
        of = {"gamma": gamma.reshape(-1), "beta": beta.reshape(-1)}
        assert y.dtype == tf.float64
        back = np.moveaxis(y.numpy(), -1, axis), np.moveaxis(x_gradient, -1, axis)
        done.append(Pass(x, cotangent, *back, of, told()))
    words = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return Case(Header(name, layout, f"BatchNormalizationBase({words})"), parameters, start, done[:-1], done[-1])


def batch_renorm() -> list[Case]:
    """Batch renormalization, which averages deviations; its two running averages are one if their momenta are."""
    options = {
        "epsilon": 1e-3,
        "renorm": True,
        "renorm_clipping": {"rmax": 1.5, "rmin": 1 / 1.5, "dmax": 0.5},
        "momentum": MOMENTUM,
        "renorm_momentum": MOMENTUM,
    }
    states = {"running_mean": "renorm_mean", "running_deviation": "renorm_stddev"}
    return [case("nc", "NC", options, states), case("nchw", "NCHW", options, states)]


def ghost_batch() -> list[Case]:
    """Ghost batches of examples that stand apart in the batch: each takes every k-th example, for k ghost batches."""
    states = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    options = {"epsilon": 1e-3, "momentum": MOMENTUM, "virtual_batch_size": 3}
    return [case(layout.lower(), layout, options, states, (9, 12, 9, 6)) for layout in SHAPES]


if __name__ == "__main__":
    for method in (batch_renorm, ghost_batch):
        write("tf_keras", version("tf-keras"), method.__name__, method())
