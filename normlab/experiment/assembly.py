"""Assemble a run: its network, trainer, evaluator and batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from normlab.backend import threads as worker_threads
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import build as build_part
from normlab.datasets.base import Dataset
from normlab.models.audit import count_operations
from normlab.models.network import Network, build
from normlab.spec import Spec
from normlab.training.augmenter import Augmenter
from normlab.training.batches import Batches
from normlab.training.evaluation import Evaluator, prepare_examples
from normlab.training.loop import Trainer
from normlab.training.randomness import keyed

mx = mxnet()


def assemble(
    spec: Spec, dataset: Dataset, devices: Sequence[Any], steps: int
) -> tuple[Network, Trainer, Evaluator, Batches]:
    """Build the network, trainer, evaluator and batch order of a run.

    Args:
        spec: A resolved spec.
        dataset: Its data.
        devices: MXNet contexts.
        steps: Total number of steps, for the learning rate schedule.

    Raises:
        SpecError: The network or a norm can't be built from its parameters.
    """
    network = build(
        spec.model,
        spec.norm,
        dataset.shape,
        dataset.classes,
        devices,
        lambda name: keyed(spec.seed, "initialize", name),
    )
    loss = build_part(spec.loss)
    transforms = [build_part(part) for part in spec.augmentation]
    augmenter = Augmenter(transforms, dataset, spec.seed, spec.training.batch_size, devices)

    train = dataset.splits["train"]
    data = [
        (augmenter.store(train, device), mx.nd.array(train.labels, ctx=device, dtype="float32")) for device in devices
    ]
    hybridize = spec.hybridize and network.hybridizable
    batches = Batches(spec.seed, len(train), spec.training.batch_size)
    trainer = Trainer(
        network,
        loss,
        build_part(spec.optimizer),
        data,
        batches,
        schedule=partial(build_part(spec.schedule), steps=steps),
        augmenter=augmenter,
        seed=spec.seed,
        hybridize=hybridize,
        threads=worker_threads.choose_threads(count_operations(network, dataset.shape), spec.training.batch_size),
    )
    batch_size = None if spec.evaluation.batch_size == "all" else spec.evaluation.batch_size
    evaluated, pixels = prepare_examples(
        dataset,
        spec.evaluation.splits,
        network,
        augmenter,
        devices[0],
        at_once=batch_size is None,
        hybridize=hybridize,
    )
    evaluator = Evaluator(network, loss, evaluated, batch_size, pixels=pixels, hybridize=hybridize)
    return network, trainer, evaluator, batches
