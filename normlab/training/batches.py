"""The order of examples: drawn without replacement, shuffled anew each epoch, keyed by seed and epoch."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from normlab.training.randomness import generator


class Batches:
    """Batches as slices of one endless row of epochs, each epoch a permutation of all examples.

    A batch that reaches the end of an epoch goes on in the next one, so that every batch is full.

    Args:
        seed: The run's seed.
        examples: Number of training examples.
        batch_size: Examples of a batch.

    Attributes:
        examples: Number of training examples.
        batch_size: Examples of a batch.
    """

    def __init__(self, seed: int, examples: int, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self._seed = seed
        self._kept: dict[int, NDArray[np.int32]] = {}

    def epoch(self, index: int) -> NDArray[np.int32]:
        """The permutation of one epoch, `(examples,)`, int32."""
        if index not in self._kept:
            self._kept = {epoch: order for epoch, order in self._kept.items() if epoch >= index - 1}
            self._kept[index] = generator(self._seed, "batches", index).permutation(self.examples).astype(np.int32)
        return self._kept[index]

    def indices(self, first_step: int, steps: int) -> NDArray[np.int32]:
        """The examples of some steps, `(steps, batch_size)`, int32.

        Args:
            first_step: The first step, counted from 0.
            steps: How many.
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
        """SHA-256 of the order in which a run of `steps` steps sees its examples."""
        whole = sha256()
        total = steps * self.batch_size
        for index in range(-(-total // self.examples)):
            whole.update(self.epoch(index)[: total - index * self.examples].tobytes())
        return whole.hexdigest()
