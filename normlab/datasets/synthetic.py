"""A learnable task of any shape, generated from a seed, for tests and first trials.

Each class has a prototype; an example is the prototype of its class plus noise, clipped to [0, 1]. Everything is
computed from the raw 64-bit output of Philox (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
3", SC 2011), which NumPy guarantees never to change (NEP 19), by additions and multiplications only. So every machine
generates the same bits.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from normlab.datasets.base import Dataset, Split, hash_contents
from normlab.datasets.source import Source


def _check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) not in (1, 3):
        raise ValueError(f"has {len(shape)} numbers; expected 1 (features) or 3 (channels, height, width)")
    return shape


Shape = Annotated[tuple[PositiveInt, ...], AfterValidator(_check_shape)]
Classes = Annotated[int, Field(ge=2)]
Count = PositiveInt
OptionalCount = NonNegativeInt
Noise = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]

SYNTHETIC = Source(
    name="synthetic",
    description="Generated from a seed, of any shape: a prototype for each class plus noise.",
    licence="none needed",
    citation="none needed",
    shape=(1, 8, 8),
    classes=10,
    sizes=(512, 128, 256),
)
_STREAMS = {"prototypes": 0, "train": 1, "validation": 2, "test": 3}
_DRAWS = 4  # uniform numbers whose sum approximates one normal number (Irwin and Hall)


def synthetic(
    *,
    shape: Shape = (1, 8, 8),
    classes: Classes = 10,
    train: Count = 512,
    validation: OptionalCount = 128,
    test: Count = 256,
    noise: Noise = 0.5,
    seed: Seed = 0,
) -> Dataset:
    """Generate a task: images in float32 from 0 to 1, with equally many examples of each class, up to one.

    Args:
        shape: Shape of one example: channels, height and width, or only the number of features.
        classes: Number of classes.
        train: Number of examples in the train split.
        validation: Number of examples in the validation split; 0 for none.
        test: Number of examples in the test split.
        noise: Standard deviation of the noise that is added to the prototype, before clipping.
        seed: Each seed gives a different task. A split does not depend on the sizes of the others.
    """
    prototypes = _uniform(_generator(seed, "prototypes"), classes, shape)
    sizes = {"train": train, "validation": validation, "test": test}
    splits = {
        name: _split(_generator(seed, name), prototypes, count, np.float32(noise))
        for name, count in sizes.items()
        if count
    }
    return Dataset(
        name="synthetic",
        splits=splits,
        classes=classes,
        class_names=tuple(str(label) for label in range(classes)),
        digest=hash_contents(splits),
        flips=False,
    )


def _generator(seed: int, purpose: str) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed, _STREAMS[purpose]], np.uint64))


def _uniform(generator: np.random.Philox, count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw numbers in [0, 1) from the upper 24 bits, which float32 represents exactly."""
    raw = np.asarray(generator.random_raw(count * math.prod(shape)), np.uint64)
    return ((raw >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)).reshape(count, *shape)


def _split(generator: np.random.Philox, prototypes: NDArray[np.float32], count: int, noise: np.float32) -> Split:
    order = np.argsort(np.asarray(generator.random_raw(count)), kind="stable")
    labels = (order % len(prototypes)).astype(np.int32)
    total = np.zeros((count, *prototypes.shape[1:]), np.float32)
    for _ in range(_DRAWS):
        total += _uniform(generator, count, prototypes.shape[1:])
    deviation = np.float32(math.sqrt(12 / _DRAWS))  # a uniform number has variance 1/12
    images = prototypes[labels] + (total - np.float32(_DRAWS / 2)) * deviation * noise
    return Split(np.clip(images, np.float32(0), np.float32(1)), labels)
