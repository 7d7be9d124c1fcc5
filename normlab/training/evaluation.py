"""Accuracy and loss over whole splits, in few large calls that return two numbers each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable, NamedTuple

import numpy as np

from normlab.backend.devices import put
from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.passes import tiling
from normlab.backend.passes.pipeline import optimize
from normlab.datasets.base import Dataset, Split
from normlab.models.network import Network
from normlab.models.tree import walk
from normlab.models.weights import WEIGHTED, WeightedLayer
from normlab.training.augmenter import Augmenter
from normlab.training.losses import Loss

mx = mxnet()


class Examples(NamedTuple):
    """The examples of a split, all on one device.

    Attributes:
        inputs: `(N, ...)`, as `Augmenter.stored` gives them, or as the network takes them.
        labels: `(N,)`.
        tiles: The same inputs in tiles (see `normlab.backend.passes.tiling`): the values of each, then the columns of
            each, then the rows of each, then the positions of all examples; empty if they are not tiled.
    """

    inputs: Any
    labels: Any
    tiles: tuple[Any, ...] = ()


def examples(
    dataset: Dataset,
    names: Sequence[str],
    network: Network,
    augmenter: Augmenter,
    device: Any,
    *,
    at_once: bool,
    hybridize: bool,
) -> tuple[dict[str, Examples], Callable[[Any, Any], Any]]:
    """Put what is evaluated on a device.

    Args:
        dataset: The data set.
        names: The splits that are evaluated.
        network: What evaluates them.
        augmenter: Knows what networks take.
        device: The network's first device.
        at_once: Whether a split goes through the network as a whole.
        hybridize: Whether in one graph.

    Returns:
        The examples of each split; and `pixels(F, inputs)`, which makes what the network takes of `Examples.inputs`.
    """
    splits = {name: dataset.splits[name] for name in names}
    fit = at_once and hybridize and not augmenter.standardizes and device.device_type == "cpu"
    tiles = _cut_into_tiles(splits, device) if fit and _begins_dense(network) else {}
    # in tiles, the inputs themselves only tell the shape; in parts, bytes cost nothing beside a convolution
    whole = at_once and not tiles
    labels = {name: put(split.labels.astype(np.float32), device) for name, split in splits.items()}
    inputs = augmenter.prepared if whole else augmenter.stored
    found = {name: Examples(inputs(split, device), labels[name], tiles.get(name, ())) for name, split in splits.items()}
    return found, (lambda _, same: same) if whole else augmenter.pixels


def _begins_dense(network: Network) -> bool:
    """Whether the first layer of a network is dense, so that tiles may save it time."""
    layers = [child for child in walk(network.block) if isinstance(child, (*WEIGHTED, WeightedLayer))]
    first = layers[0].layer if layers and isinstance(layers[0], WeightedLayer) else next(iter(layers), None)
    return isinstance(first, mx.gluon.nn.Dense)


def _cut_into_tiles(splits: Mapping[str, Split], device: Any) -> dict[str, tuple[Any, ...]]:
    """Cut all splits into the same number of tiles.

    Args:
        splits: What is evaluated.
        device: Where the arrays go.

    Returns:
        `Examples.tiles` of each split; empty if that would not save time for all of them.
    """
    count = tiling.count_tiles(map(len, splits.values()))
    tiles = {}
    for name, split in splits.items() if count > 0 else ():
        found = tiling.cut(split.images.reshape(len(split), -1), count)
        if found is None:
            return {}
        tiles[name] = found
    return {name: _on_device(splits[name], found, device) for name, found in tiles.items()}


def _on_device(split: Split, tiles: list[tiling.Tile], device: Any) -> tuple[Any, ...]:
    table = split.images.reshape(len(split), -1)
    values = [Split(np.ascontiguousarray(table[t.rows][:, t.columns]), split.labels[t.rows]).pixels() for t in tiles]
    indices = [*[t.columns for t in tiles], *[t.rows for t in tiles], tiling.compute_positions(tiles)]
    return (*[put(value, device) for value in values], *[put(index, device) for index in indices])


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

        on_cpu = all(examples.labels.context.device_type == "cpu" for examples in splits.values())
        self._graph = Graph(
            scores,
            network.parameters.values(),
            training=False,
            hybridize=hybridize,
            rewrite=partial(optimize, on_cpu=on_cpu),
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
        inputs, labels, tiles = examples
        size = self._batch_size or len(labels)
        return [
            self._graph(inputs[start : start + size], labels[start : start + size], *tiles)
            for start in range(0, len(labels), size)
        ]


def _score(calls: Sequence[Sequence[Any]], examples: int) -> Score:
    right, loss = (sum(float(call[index].asscalar()) for call in calls) for index in (0, 1))
    return Score(right / examples, loss / examples)
