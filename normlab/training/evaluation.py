"""Accuracy and loss on whole splits, computed in a few large calls that return two numbers each."""

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
        inputs: `(N, ...)`, the result of `Augmenter.store` or `Augmenter.prepare`.
        labels: `(N,)`.
        tiles: The same inputs in tiles (see `normlab.backend.passes.tiling`): the values of each, then the columns of
            each, then the rows of each, then the positions of all examples; empty if they are not tiled.
    """

    inputs: Any
    labels: Any
    tiles: tuple[Any, ...] = ()


def prepare_examples(
    dataset: Dataset,
    names: Sequence[str],
    network: Network,
    augmenter: Augmenter,
    device: Any,
    *,
    at_once: bool,
    hybridize: bool,
) -> tuple[dict[str, Examples], Callable[[Any, Any], Any]]:
    """Copy splits to a device for evaluation.

    Args:
        dataset: The data set.
        names: Names of the splits.
        network: The network to evaluate.
        augmenter: Converts images to the network's inputs.
        device: The network's first device.
        at_once: Whether the network evaluates a split in one call.
        hybridize: Whether it does so in a graph.

    Returns:
        The examples of each split, and `pixels(F, inputs)`, which converts `Examples.inputs` to the network's inputs.
    """
    splits = {name: dataset.splits[name] for name in names}
    can_tile = at_once and hybridize and not augmenter.standardizes and device.device_type == "cpu"
    tiles = _cut_into_tiles(splits, device) if can_tile and _starts_dense(network) else {}
    # with tiles, only the shape of the inputs is used; in batches, converting bytes is cheap beside a convolution
    whole = at_once and not tiles
    labels = {name: put(split.labels.astype(np.float32), device) for name, split in splits.items()}
    inputs = augmenter.prepare if whole else augmenter.store
    found = {name: Examples(inputs(split, device), labels[name], tiles.get(name, ())) for name, split in splits.items()}
    return found, (lambda _, same: same) if whole else augmenter.pixels


def _starts_dense(network: Network) -> bool:
    """Return whether the first layer of a network is dense, so that tiles may make it faster."""
    layers = [child for child in walk(network.block) if isinstance(child, (*WEIGHTED, WeightedLayer))]
    first = layers[0].layer if layers and isinstance(layers[0], WeightedLayer) else next(iter(layers), None)
    return isinstance(first, mx.gluon.nn.Dense)


def _cut_into_tiles(splits: Mapping[str, Split], device: Any) -> dict[str, tuple[Any, ...]]:
    """Cut all splits into the same number of tiles.

    Args:
        splits: The splits to evaluate.
        device: The device for the arrays.

    Returns:
        `Examples.tiles` of each split; empty if tiles would not make all of them faster.
    """
    count = tiling.count_tiles(map(len, splits.values()))
    tiles = {}
    for name, split in splits.items() if count > 0 else ():
        found = tiling.cut(split.images.reshape(len(split), -1), count)
        if found is None:
            return {}
        tiles[name] = found
    return {name: _put_tiles(splits[name], found, device) for name, found in tiles.items()}


def _put_tiles(split: Split, tiles: list[tiling.Tile], device: Any) -> tuple[Any, ...]:
    table = split.images.reshape(len(split), -1)
    values = [Split(np.ascontiguousarray(table[t.rows][:, t.columns]), split.labels[t.rows]).pixels() for t in tiles]
    indices = [*[t.columns for t in tiles], *[t.rows for t in tiles], tiling.compute_positions(tiles)]
    return (*[put(value, device) for value in values], *[put(index, device) for index in indices])


class Score(NamedTuple):
    """Accuracy and loss of a network on a split.

    Attributes:
        accuracy: Fraction of the examples whose largest output is that of their class.
        loss: Mean loss per example.
    """

    accuracy: float
    loss: float

    @property
    def is_finite(self) -> bool:
        """Whether the loss is finite. The accuracy always is, even if the outputs are NaN."""
        return math.isfinite(self.loss)


class Evaluator:
    """Evaluates a network on splits that stay on the device.

    Args:
        network: The network.
        loss: Its loss.
        splits: The examples of each split, on the network's first device.
        batch_size: Examples per call, or None to evaluate a whole split in one call.
        pixels: `pixels(F, inputs)` converts the inputs of a split to the network's inputs.
        hybridize: Whether to run in a graph rather than imperatively.
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

        def score(F: Any, inputs: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
            outputs = network.block(pixels(F, inputs))
            correct = F.sum(F.argmax(outputs, axis=1) == labels)
            return correct, F.sum(loss.each(F, outputs, labels))

        on_cpu = all(examples.labels.context.device_type == "cpu" for examples in splits.values())
        self._graph = Graph(
            score,
            network.parameters.values(),
            training=False,
            hybridize=hybridize,
            rewrite=partial(optimize, on_cpu=on_cpu),
        )

    def __call__(self, split: str) -> Score:
        """Evaluate one split."""
        return self.evaluate([split])[split]

    def evaluate(self, splits: Sequence[str]) -> dict[str, Score]:
        """Evaluate splits. All calls are started before the first result is awaited."""
        calls = {split: self._start(self._splits[split]) for split in splits}
        return {split: _collect(results, len(self._splits[split].labels)) for split, results in calls.items()}

    def _start(self, examples: Examples) -> list[list[Any]]:
        """Start all calls for a split; each results in the number of correct examples and the sum of the losses."""
        inputs, labels, tiles = examples
        size = self._batch_size or len(labels)
        return [
            self._graph(inputs[start : start + size], labels[start : start + size], *tiles)
            for start in range(0, len(labels), size)
        ]


def _collect(results: Sequence[Sequence[Any]], examples: int) -> Score:
    correct, loss = (sum(float(result[index].asscalar()) for result in results) for index in (0, 1))
    return Score(correct / examples, loss / examples)
