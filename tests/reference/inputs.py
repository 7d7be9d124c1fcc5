"""Inputs for the generators, seeded by their purpose and exact in float16, so that no dtype rounds them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

#: Numbers of examples of the training passes and of the pass in eval mode. They differ, so that no size can be confused
#: with another.
BATCHES = (6, 5, 6, 4)

#: The same for methods without states.
STATELESS = (6, 4)

#: Parameters that are added or compared, rather than multiplied.
ADDED = ("beta", "tau", "s")


def generator(*key: Any) -> np.random.Generator:
    """Return a random generator for one purpose."""
    return np.random.default_rng([zlib.crc32(repr(part).encode()) for part in key])


def exact(value: Any) -> Any:
    """Round numbers to float16 and return them as float64."""
    return np.asarray(value, dtype="float64").astype("float16").astype("float64")


def activations(key: str, shape: tuple[int, ...], axis: int = 1) -> Any:
    """Return activations whose channels and examples differ in scale, down to where epsilon matters.

    Args:
        key: Different keys give different numbers.
        shape: Their shape, examples first.
        axis: The axis of channels.
    """
    random = generator("activations", key, shape)
    along = [1] * len(shape)
    along[axis] = shape[axis]
    channels = np.geomspace(0.05, 2.0, shape[axis])
    means = random.normal(0.0, 0.7, shape[axis])
    x = (random.standard_normal(shape) + means.reshape(along)) * channels.reshape(along)
    x[-1] *= 0.1
    return exact(x)


def cotangent(key: str, shape: tuple[int, ...]) -> Any:
    """Return a gradient of the output."""
    return exact(generator("cotangent", key, shape).standard_normal(shape))


def batches(key: str, shape: tuple[int, ...], axis: int = 1, sizes: tuple[int, ...] = BATCHES) -> list[tuple[Any, Any]]:
    """Return activations and cotangents for several passes, the last one in eval mode.

    Args:
        key: Different keys give different numbers.
        shape: Their shape without the axis of examples.
        axis: The axis of channels, counting that of examples.
        sizes: The number of examples of each pass.
    """
    return [
        (activations(f"{key} {index}", (size, *shape), axis), cotangent(f"{key} {index}", (size, *shape)))
        for index, size in enumerate(sizes)
    ]


def weights(key: str, shape: tuple[int, ...], passes: int = 2) -> list[tuple[Any, Any]]:
    """Return weights `(out, ...)` whose rows differ in scale and mean, and cotangents, for several passes."""
    found = []
    for index in range(passes):
        random = generator("weights", key, index, shape)
        rows = (shape[0], *[1] * (len(shape) - 1))
        w = random.normal(0.05, 0.3, shape) * np.geomspace(0.05, 2.0, shape[0]).reshape(rows)
        found.append((exact(w), cotangent(f"{key} {index}", shape)))
    return found


def parameter(key: str, name: str, shape: tuple[int, ...]) -> Any:
    """Return values of a parameter: around 1 for gains, around 0 for parameters that are added."""
    random = generator(name, key, tuple(shape))
    return exact(random.normal(0.0, 0.5, shape) if name in ADDED else random.uniform(0.5, 1.5, shape))
