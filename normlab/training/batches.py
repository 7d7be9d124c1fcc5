"""The order of examples: drawn without replacement, reshuffled in each epoch, keyed by seed and epoch."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from normlab.training.randomness import generator


class Batches:
    """Batches as slices of an endless sequence of epochs, each a permutation of all examples.

    A batch that reaches the end of an epoch continues in the next one, so every batch is full.

    Args:
        seed: The run's seed.
        examples: Number of training examples.
        batch_size: Examples in a batch.

    Attributes:
        examples: Number of training examples.
        batch_size: Examples in a batch.
    """

    def __init__(self, seed: int, examples: int, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self._seed = seed
        self._epochs: dict[int, NDArray[np.int32]] = {}

    def epoch(self, index: int) -> NDArray[np.int32]:
        """Return the permutation of one epoch, `(examples,)`, int32."""
        if index not in self._epochs:
            self._epochs = {epoch: order for epoch, order in self._epochs.items() if epoch >= index - 1}
            self._epochs[index] = generator(self._seed, "batches", index).permutation(self.examples).astype(np.int32)
        return self._epochs[index]

    def indices(self, first_step: int, steps: int) -> NDArray[np.int32]:
        """Return the indices of the examples of consecutive steps, `(steps, batch_size)`, int32.

        Args:
            first_step: The first step, counted from 0.
            steps: Number of steps.
        """
        start, stop = first_step * self.batch_size, (first_step + steps) * self.batch_size
        pieces = []
        while start < stop:
            index, offset = divmod(start, self.examples)
            piece = self.epoch(index)[offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
        order: NDArray[np.int32] = np.concatenate(pieces).reshape(steps, self.batch_size)
        return order

    def digest(self, steps: int) -> str:
        """Return the SHA-256 of the order in which a run of `steps` steps sees its examples."""
        digest = sha256()
        total = steps * self.batch_size
        for index in range(-(-total // self.examples)):
            digest.update(self.epoch(index)[: total - index * self.examples].tobytes())
        return digest.hexdigest()
