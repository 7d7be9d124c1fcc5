"""A layer right before a specimen, for methods that look at its weight: what it takes, and a weight that moves.

The layer does not run. The specimen's input stands for what it takes as well, and its weight is near the identity, for
a dense layer as for a convolution of 1x1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.backend.mxnet import mxnet
from normlab.training.randomness import generator

if TYPE_CHECKING:
    from normlab.conformance.compare import Array

nn = mxnet().gluon.nn

_DISTANCE = 0.01


def layer(channels: int, layout: str) -> Any:
    """The layer, from as many channels to as many."""
    if layout == "NCHW":
        return nn.Conv2D(channels, 1, in_channels=channels)
    return nn.Dense(channels, in_units=channels, flatten=layout == "NC")


def weight(channels: int, layout: str, states: Iterable[Array]) -> Array:
    """The layer's weight at a time of the training, which the states tell: other states, another weight.

    Args:
        channels: Number of channels.
        layout: The layout of the site.
        states: The method's states. What moves them by rounding moves the weight by rounding.
    """
    means = [float(np.mean(state, dtype="float64")) for state in states]
    time = sum(mean / (1 + abs(mean)) for mean in means)
    random = generator(0, "conformance", "layer before")
    found: Array = np.eye(channels) + _DISTANCE * time * random.standard_normal((channels, channels))
    return found.reshape((channels, channels, 1, 1)) if layout == "NCHW" else found
