"""The examples of a split on a device, as evaluations take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np

from normlab.backend.devices import put
from normlab.backend.mxnet import mxnet
from normlab.backend.passes import tiling as tiers
from normlab.datasets.base import Split
from normlab.models.tree import walk
from normlab.models.weights import WEIGHTED, WeightedLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from normlab.datasets.base import Dataset
    from normlab.models.network import Network
    from normlab.training.augmenter import Augmenter

mx = mxnet()


class Examples(NamedTuple):
    """The examples of a split, all on one device.

    Attributes:
        inputs: `(N, ...)`, as `Augmenter.stored` gives them, or as the network takes them.
        labels: `(N,)`.
        tiers: The same inputs in tiers (see `normlab.backend.passes.tiling`): the values, then the columns, then the
            rows of each, and the places of all examples; empty without.
    """

    inputs: Any
    labels: Any
    tiers: tuple[Any, ...] = ()


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
    in_tiers = _in_tiers(splits, device) if fit and _begins_dense(network) else {}
    # in tiers, the inputs themselves only tell the shape; in parts, bytes cost nothing beside a convolution
    whole = at_once and not in_tiers
    labels = {name: put(split.labels.astype(np.float32), device) for name, split in splits.items()}
    inputs = augmenter.prepared if whole else augmenter.stored
    found = {
        name: Examples(inputs(split, device), labels[name], in_tiers.get(name, ())) for name, split in splits.items()
    }
    return found, (lambda _, same: same) if whole else augmenter.pixels


def _begins_dense(network: Network) -> bool:
    """Whether the first layer of a network is dense, so that tiers may be of use to it."""
    layers = [child for child in walk(network.block) if isinstance(child, (*WEIGHTED, WeightedLayer))]
    first = layers[0].layer if layers and isinstance(layers[0], WeightedLayer) else next(iter(layers), None)
    return isinstance(first, mx.gluon.nn.Dense)


def _in_tiers(splits: Mapping[str, Split], device: Any) -> dict[str, tuple[Any, ...]]:
    """Cut splits into equally many tiers.

    Args:
        splits: What is evaluated.
        device: Where the arrays go.

    Returns:
        `Examples.tiers` of each split; empty where that is not worth its while for all of them.
    """
    count = tiers.number(map(len, splits.values()))
    cut = {}
    for name, split in splits.items() if count > 0 else ():
        found = tiers.tiers(split.images.reshape(len(split), -1), count)
        if found is None:
            return {}
        cut[name] = found
    return {name: _on_device(splits[name], them, device) for name, them in cut.items()}


def _on_device(split: Split, them: list[tiers.Tier], device: Any) -> tuple[Any, ...]:
    table = split.images.reshape(len(split), -1)
    values = [Split(np.ascontiguousarray(table[t.rows][:, t.columns]), split.labels[t.rows]).pixels() for t in them]
    indices = [*[t.columns for t in them], *[t.rows for t in them], tiers.places(them)]
    return (*[put(value, device) for value in values], *[put(index, device) for index in indices])
