"""Put a run together: network, data on the devices, trainer and evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.catalog.signature import accepted
from normlab.compat import mxnet
from normlab.models.network import Network, build
from normlab.models.sites import ChosenNorm
from normlab.training.batches import Batches
from normlab.training.evaluation import Evaluator
from normlab.training.loop import Trainer
from normlab.training.randomness import keyed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.datasets.base import Dataset, Split
    from normlab.parts import Parts

mx = mxnet()


def assemble(parts: Parts, dataset: Dataset, devices: Sequence[Any]) -> tuple[Network, Trainer, Evaluator, Batches]:
    """Build everything that a run needs.

    Args:
        parts: What the spec names.
        dataset: Its data.
        devices: MXNet contexts.

    Raises:
        SpecError: The network or a norm can't be built so.
    """
    spec = parts.spec
    network = build(
        parts.model.entry,
        parts.model.parameters,
        [ChosenNorm(*chosen) for chosen in parts.norms],
        dataset.shape,
        dataset.classes,
        devices,
        lambda name: keyed(spec.seed, "initialize", name),
    )
    loss = _made(parts.loss)
    data = {"train": [_on_device(dataset.splits["train"], device) for device in devices]}
    for split in spec.evaluation.splits:
        data.setdefault(split, [_on_device(dataset.splits[split], devices[0])])
    hybridize = spec.hybridize and network.hybridizable
    batches = Batches(spec.seed, len(dataset.splits["train"]), spec.training.batch_size)
    trainer = Trainer(network, loss, _made(parts.optimizer), data["train"], batches, hybridize=hybridize)
    at_once = None if spec.evaluation.batch_size == "all" else spec.evaluation.batch_size
    evaluator = Evaluator(
        network, loss, {split: data[split][0] for split in spec.evaluation.splits}, at_once, hybridize=hybridize
    )
    return network, trainer, evaluator, batches


def _made(chosen: Any) -> Any:
    (factory,) = chosen.entry.factories
    return factory(**accepted(factory, chosen.parameters))


def _on_device(split: Split, device: Any) -> tuple[Any, Any]:
    """Inputs as float32 and labels, resident on a device."""
    return mx.nd.array(split.pixels(), ctx=device), mx.nd.array(split.labels, ctx=device, dtype="float32")
