"""Randomness that is keyed, not drawn from one stream: every draw comes from (seed, purpose, index).

So two norms with one seed start from the same weights and see the same batches, resuming needs no generator's state,
and what one part draws changes nobody else's draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256

import numpy as np

from normlab.backend.mxnet import mxnet

STEP = "step"
"""The purpose of what a step draws: dropout, and methods that draw."""


def key(seed: int, *purpose: object) -> int:
    """A number of 64 bits for this purpose.

    Args:
        seed: The run's seed.
        *purpose: What the draw is for, and its index: `"batches", epoch`.
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """NumPy's Philox generator, keyed for this purpose."""
    return np.random.Generator(np.random.Philox(key=key(seed, *purpose)))


def seed_mxnet(seed: int, *purpose: object) -> None:
    """Key MXNet's own generators, on all devices, for this purpose."""
    mxnet().random.seed(_key_of_mxnet(seed, *purpose))


def digest_of_draws(seed: int, steps: int, drawn: Iterable[str]) -> str:
    """SHA-256 of what decides on all that the steps of a run draw: what each draws, in order, and the keys of all."""
    whole = sha256("\x1f".join(drawn).encode())
    for step in range(steps):
        whole.update(_key_of_mxnet(seed, STEP, step).to_bytes(4, "big"))
    return whole.hexdigest()


def _key_of_mxnet(seed: int, *purpose: object) -> int:
    return key(seed, *purpose) % 2**31


@contextmanager
def keyed(seed: int, *purpose: object) -> Iterator[None]:
    """Key both generators that MXNet's initializers draw from; NumPy's global one is put back afterwards."""
    state = np.random.get_state()  # noqa: NPY002 - it is this one that MXNet draws from
    seed_mxnet(seed, *purpose)
    np.random.seed(key(seed, *purpose) % 2**32)  # noqa: NPY002 - it is this one that MXNet draws from
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002 - it is this one that MXNet draws from
