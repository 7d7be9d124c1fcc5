"""The training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from numpy.typing import NDArray

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.threads import limit_threads
from normlab.models.network import Network, not_finite
from normlab.optimizers import state as optimizer_state
from normlab.optimizers.base import Optimizer
from normlab.optimizers.flatten import flatten
from normlab.training.augmenter import Augmenter
from normlab.training.batches import Batches
from normlab.training.losses import Loss
from normlab.training.randomness import STEP, digest_of_draws, seed_mxnet

mx = mxnet()


class Trainer:
    """Takes steps: gather a batch, augment it, forward and backward in one graph, update.

    Args:
        network: The network, on one or more devices.
        loss: What a step minimizes.
        optimizer: How a step changes the parameters.
        data: Inputs and labels of the training split, once on each device.
        batches: The order of examples.
        schedule: The factor of the learning rate in a step, counted from 0.
        augmenter: What is done to batches.
        seed: The run's seed, for networks that draw random numbers.
        hybridize: False to run imperatively.
        threads: With how many threads operators run, on a processor.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        data: Sequence[tuple[Any, Any]],
        batches: Batches,
        *,
        schedule: Callable[[int], float],
        augmenter: Augmenter,
        seed: int,
        hybridize: bool,
        threads: int,
    ) -> None:
        self._threads = threads
        self._network = network
        self._data = data
        self._batches = batches
        self._schedule = schedule
        self._augmenter = augmenter
        self._seed = seed
        # in the graph, so that gradients are those of what a step minimizes
        factor = 1 / batches.batch_size if loss.reduction == "mean" else 1.0
        self._trainable = {name: p for name, p in network.parameters.items() if p.grad_req != "null"}
        self._gradient = network.way("gradient")
        for method in self._gradient:
            method.prepare(network)
        self._project = network.way("project")
        # several devices need a store to add up their gradients
        store = {"kvstore": "device", "update_on_kvstore": False} if len(data) > 1 else {"kvstore": None}
        rule = optimizer.attach(self._trainable)
        contexts = [images.context for images, _ in data]
        self._steered = flatten(self._trainable, contexts) if optimizer.elementwise else self._trainable
        self._gluon = mx.gluon.Trainer(list(self._steered.values()), rule, **store)
        self._updaters = self._gluon._updaters  # noqa: SLF001 - Gluon's own update asks after each gradient's age
        self._learning_rate = self._gluon.learning_rate

        def step_loss(F: Any, indices: Any, images: Any, labels: Any, *moves: Any) -> Any:
            batch = augmenter.pixels(F, F.take(images, indices))
            outputs = network.block(augmenter(F, batch, *moves))
            total = F.sum(loss.each(F, outputs, F.take(labels, indices)))
            return total * factor if factor != 1 else total

        self._graph = Graph(step_loss, network.parameters.values(), training=True, hybridize=hybridize, one_shape=True)

    def steps(self, first: int, last: int, stepped: Callable[[int], None]) -> None:
        """Take the steps from `first` up to and without `last`, counted from 0."""
        order = self._batches.indices(first, last - first)
        # each device takes its part of every batch
        parts = [
            mx.nd.array(part, ctx=images.context, dtype="int32")
            for part, (images, _) in zip(_split(order, len(self._data)), self._data)
        ]
        with limit_threads(self._threads, [images.context for images, _ in self._data]):
            self._step_through(first, last, parts, stepped)

    def _step_through(self, first: int, last: int, parts: list[Any], stepped: Callable[[int], None]) -> None:
        for step in range(first, last):
            moves = self._augmenter.inputs(step)
            if self._network.draws:
                seed_mxnet(self._seed, STEP, step)
            with mx.autograd.record():
                losses = [
                    self._graph(part[step - first], images, labels, *moved)[0]
                    for part, moved, (images, labels) in zip(parts, moves, self._data)
                ]
            mx.autograd.backward(losses)
            self._gluon.set_learning_rate(self._learning_rate * self._schedule(step))
            self._update()
            stepped(step + 1)

    def digests(self, steps: int) -> dict[str, str]:
        """SHA-256 of what a run of `steps` steps has seen and drawn, by what it is: batches, augmentation, draws."""
        found = {"batches": self._batches.digest(steps)}
        if self._augmenter.moves:
            found["augmentation"] = self._augmenter.digest(steps)
        if self._network.dropout:
            devices = f"{len(self._data)} of {self._batches.batch_size} examples"
            found["draws"] = digest_of_draws(self._seed, steps, [devices, *self._network.dropout])
        return found

    def optimizer_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the optimizer's state, named `<parameter>/<index>`."""
        return {name: array.asnumpy() for name, array in optimizer_state.read_arrays(self._gluon, list(self._steered))}

    def optimizer_updates(self) -> dict[str, int]:
        """How many updates of each parameter the optimizer has counted."""
        return optimizer_state.read_updates(self._gluon, list(self._steered))

    def restore(
        self, parameters: Mapping[str, NDArray[Any]], optimizer: Mapping[str, NDArray[Any]], updates: Mapping[str, int]
    ) -> None:
        """Go on from where a trainer of the same parts has been.

        Args:
            parameters: Parameters and running state by structural name.
            optimizer: Its `optimizer_arrays`.
            updates: Its `optimizer_updates`.

        Raises:
            CheckpointError: They are those of other parts.
        """
        own = self._network.parameters
        for name in sorted({*own, *parameters}):
            targets = own[name].list_data() if name in own else []
            optimizer_state.write_array(f"parameter {name}", parameters.get(name), targets)
        optimizer_state.restore(self._gluon, list(self._steered), optimizer, updates)

    def first_not_finite(self) -> str | None:
        """The first array of the optimizer's state with a value that is not finite, or None.

        Parameters can't tell: `signum` takes no step where the momentum is NaN, `ftrl` sets the weight to 0.
        """
        found = not_finite(optimizer_state.read_arrays(self._gluon, list(self._steered)))
        return found and f"{found.rpartition('/')[0]} (its optimizer state)"

    def _update(self) -> None:
        if len(self._data) > 1:
            self._gluon.allreduce_grads()
        for method in self._gradient:
            for name, parameter in self._trainable.items():
                for weight, gradient in zip(parameter.list_data(), parameter.list_grad()):
                    _put(method(mx.nd, name, weight, gradient), gradient)
        for index, parameter in enumerate(self._steered.values()):
            for updater, weight, gradient in zip(self._updaters, parameter.list_data(), parameter.list_grad()):
                updater(index, gradient, weight)
        for method in self._project:
            for name, parameter in self._trainable.items():
                for value in parameter.list_data():
                    _put(method(mx.nd, name, value), value)
        self._network.average_states()


def _put(new: Any, old: Any) -> None:
    if new is not old:
        new.copyto(old)


def _split(order: Any, devices: int) -> list[Any]:
    width = order.shape[1] // devices
    return [order[:, index * width : (index + 1) * width] for index in range(devices)]


def train(
    trainer: Trainer,
    *,
    first_step: int,
    steps: int,
    every: int,
    evaluate: Callable[[int], bool],
    stepped: Callable[[int], None],
) -> None:
    """Train, and evaluate every so many steps and after the last.

    Args:
        trainer: Takes the steps.
        first_step: Steps already taken.
        steps: Steps in all.
        every: Steps between evaluations.
        evaluate: Called with the number of steps taken; says whether to go on.
        stepped: Called with the number of steps taken, after each.
    """
    step = first_step
    while step < steps:
        until = min(steps, (step // every + 1) * every)
        trainer.steps(step, until, stepped)
        mx.nd.waitall()
        step = until if evaluate(until) else steps
