"""Accuracy and loss over whole splits, in few large calls that give back two numbers each."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.passes.pipeline import faster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.models.network import Network
    from normlab.training.examples import Examples
    from normlab.training.losses import Loss

mx = mxnet()


class Score(NamedTuple):
    """How a network does on a split.

    Attributes:
        accuracy: Share of the examples whose greatest output is the right one.
        loss: Mean loss of an example.
    """

    accuracy: float
    loss: float

    @property
    def is_finite(self) -> bool:
        """Whether the loss is a number; the accuracy always is, even of a network of NaN."""
        return math.isfinite(self.loss)


class Evaluator:
    """Evaluates a network on splits that stay on the device.

    Args:
        network: The network.
        loss: Its loss.
        splits: The examples of each split, on the network's first device.
        batch_size: Examples a call, or None for a whole split at once.
        pixels: `pixels(F, inputs)` makes what the network takes of a split's inputs.
        hybridize: False to run imperatively.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        splits: dict[str, Examples],
        batch_size: int | None,
        *,
        pixels: Callable[[Any, Any], Any],
        hybridize: bool,
    ) -> None:
        self._splits = splits
        self._batch_size = batch_size

        def scores(F: Any, inputs: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
            outputs = network.block(pixels(F, inputs))
            right = F.sum(F.argmax(outputs, axis=1) == labels)
            return right, F.sum(loss.each(F, outputs, labels))

        on_processor = all(examples.labels.context.device_type == "cpu" for examples in splits.values())
        self._graph = Graph(
            scores,
            network.parameters.values(),
            training=False,
            hybridize=hybridize,
            rewrite=partial(faster, on_processor=on_processor),
        )

    def __call__(self, split: str) -> Score:
        """Evaluate one split."""
        return self.scores([split])[split]

    def scores(self, splits: Sequence[str]) -> dict[str, Score]:
        """Evaluate splits, all of them asked for before the first is waited for."""
        asked = {split: self._asked(self._splits[split]) for split in splits}
        return {split: _score(calls, len(self._splits[split].labels)) for split, calls in asked.items()}

    def _asked(self, examples: Examples) -> list[list[Any]]:
        """How many are right and the sum of the losses, of each call."""
        inputs, labels, tiers = examples
        size = self._batch_size or len(labels)
        return [
            self._graph(inputs[start : start + size], labels[start : start + size], *tiers)
            for start in range(0, len(labels), size)
        ]


def _score(calls: Sequence[Sequence[Any]], examples: int) -> Score:
    right, loss = (sum(float(call[index].asscalar()) for call in calls) for index in (0, 1))
    return Score(right / examples, loss / examples)
