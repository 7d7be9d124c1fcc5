"""Keyed randomness: every draw depends on (seed, purpose, index) instead of one stream.

So two norms with the same seed start from the same weights and see the same batches, resuming a run needs no state of a
generator, and what one component draws doesn't change the draws of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256

import numpy as np

from normlab.backend.mxnet import mxnet

STEP = "step"
"""The purpose of the draws in a step: dropout, and methods that draw random numbers."""


def key(seed: int, *purpose: object) -> int:
    """Return the 64-bit key of a purpose.

    Args:
        seed: The run's seed.
        *purpose: What the draw is for, and its index, such as `"batches", epoch`.
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Return a NumPy generator (Philox) that is keyed by the purpose."""
    return np.random.Generator(np.random.Philox(key=key(seed, *purpose)))


def seed_mxnet(seed: int, *purpose: object) -> None:
    """Seed MXNet's own generators on all devices by the purpose."""
    mxnet().random.seed(_mxnet_key(seed, *purpose))


def hash_draws(seed: int, steps: int, drawn: Iterable[str]) -> str:
    """Return the SHA-256 of what determines all draws in a run: the order of a step's draws, and the keys of all steps.

    Args:
        seed: The run's seed.
        steps: Number of steps.
        drawn: A description of each draw of a step, in order.
    """
    digest = sha256("\x1f".join(drawn).encode())
    for step in range(steps):
        digest.update(_mxnet_key(seed, STEP, step).to_bytes(4, "big"))
    return digest.hexdigest()


def _mxnet_key(seed: int, *purpose: object) -> int:
    return key(seed, *purpose) % 2**31


@contextmanager
def keyed(seed: int, *purpose: object) -> Iterator[None]:
    """Key both generators that MXNet's initializers use, and restore NumPy's global generator afterwards."""
    state = np.random.get_state()  # noqa: NPY002 - MXNet draws from this generator
    seed_mxnet(seed, *purpose)
    np.random.seed(key(seed, *purpose) % 2**32)  # noqa: NPY002 - MXNet draws from this generator
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002 - MXNet draws from this generator
