"""The training loop: gather a batch, augment it, run the network forward and backward, update the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.backend.threads import limit_threads
from normlab.models.network import Network, find_not_finite
from normlab.optimizers import state as optimizer_state
from normlab.optimizers.base import Optimizer
from normlab.optimizers.flatten import flatten
from normlab.training.augmenter import Augmenter
from normlab.training.batches import Batches
from normlab.training.losses import Loss
from normlab.training.randomness import STEP, hash_draws, seed_mxnet

mx = mxnet()


class Trainer:
    """Takes training steps.

    Args:
        network: The network, on one or more devices.
        loss: The loss to minimize.
        optimizer: The optimizer.
        data: Stored images and labels of the train split, once for each device.
        batches: The order of examples.
        schedule: Returns the factor of the learning rate in a step, counted from 0.
        augmenter: Augments batches.
        seed: The run's seed, for networks that draw random numbers.
        hybridize: Whether to run in a graph rather than imperatively.
        threads: Number of threads for each operator on a CPU.
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
        # part of the graph, so that gradients are those of the minimized loss
        factor = 1 / batches.batch_size if loss.reduction == "mean" else 1.0
        self._trainable = {name: p for name, p in network.parameters.items() if p.grad_req != "null"}
        self._gradient = network.build_methods("gradient")
        for method in self._gradient:
            method.prepare(network)
        self._project = network.build_methods("project")
        # several devices need a store that sums their gradients
        store = {"kvstore": "device", "update_on_kvstore": False} if len(data) > 1 else {"kvstore": None}
        rule = optimizer.attach(self._trainable)
        self._contexts = [images.context for images, _ in data]
        self._optimized = flatten(self._trainable, self._contexts) if optimizer.elementwise else self._trainable
        self._gluon = mx.gluon.Trainer(list(self._optimized.values()), rule, **store)
        self._updaters = self._gluon._updaters  # noqa: SLF001 - Gluon's own update checks the age of each gradient
        self._learning_rate = self._gluon.learning_rate

        def step_loss(F: Any, indices: Any, images: Any, labels: Any, *maps: Any) -> Any:
            batch = augmenter.pixels(F, F.take(images, indices))
            outputs = network.block(augmenter(F, batch, *maps))
            total = F.sum(loss.each(F, outputs, F.take(labels, indices)))
            return total * factor if factor != 1 else total

        self._graph = Graph(step_loss, network.parameters.values(), training=True, hybridize=hybridize, one_shape=True)

    def steps(self, first: int, last: int, stepped: Callable[[int], None]) -> None:
        """Take the steps from `first` to `last - 1`, counted from 0, and call `stepped` with the number of each + 1."""
        order = self._batches.indices(first, last - first)
        # each device gets its part of every batch
        shares = np.split(order, len(self._contexts), axis=1)
        parts = [mx.nd.array(share, ctx=context, dtype="int32") for share, context in zip(shares, self._contexts)]
        with limit_threads(self._threads, self._contexts):
            self._step_through(first, last, parts, stepped)

    def _step_through(self, first: int, last: int, parts: list[Any], stepped: Callable[[int], None]) -> None:
        for step in range(first, last):
            maps = self._augmenter.inputs(step)
            if self._network.draws:
                seed_mxnet(self._seed, STEP, step)
            with mx.autograd.record():
                losses = [
                    self._graph(part[step - first], images, labels, *own)[0]
                    for part, own, (images, labels) in zip(parts, maps, self._data)
                ]
            mx.autograd.backward(losses)
            self._gluon.set_learning_rate(self._learning_rate * self._schedule(step))
            self._update()
            stepped(step + 1)

    def digests(self, steps: int) -> dict[str, str]:
        """Return the SHA-256 of what a run of `steps` steps has seen and drawn: batches, augmentation, draws."""
        found = {"batches": self._batches.digest(steps)}
        if self._augmenter.geometric:
            found["augmentation"] = self._augmenter.digest(steps)
        if self._network.dropout:
            devices = f"{len(self._data)} of {self._batches.batch_size} examples"
            found["draws"] = hash_draws(self._seed, steps, [devices, *self._network.dropout])
        return found

    def optimizer_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the optimizer's state by name, `<parameter>/<index>`."""
        return {
            name: array.asnumpy() for name, array in optimizer_state.read_arrays(self._gluon, list(self._optimized))
        }

    def optimizer_updates(self) -> dict[str, int]:
        """Return the optimizer's count of updates of each parameter."""
        return optimizer_state.read_updates(self._gluon, list(self._optimized))

    def restore(
        self, parameters: Mapping[str, NDArray[Any]], optimizer: Mapping[str, NDArray[Any]], updates: Mapping[str, int]
    ) -> None:
        """Restore the state of an earlier trainer of the same spec.

        Args:
            parameters: Parameters and running state by structural name.
            optimizer: The result of its `optimizer_arrays`.
            updates: The result of its `optimizer_updates`.

        Raises:
            CheckpointError: The state doesn't match the network or the optimizer.
        """
        own = self._network.parameters
        for name in sorted({*own, *parameters}):
            targets = own[name].list_data() if name in own else []
            optimizer_state.write_array(f"parameter {name}", parameters.get(name), targets)
        optimizer_state.restore(self._gluon, list(self._optimized), optimizer, updates)

    def first_not_finite(self) -> str | None:
        """Return the name of the first array of the optimizer's state with a non-finite value, or None.

        Parameters alone don't reveal it: `signum` takes no step if the momentum is NaN, `ftrl` sets the weight to 0.
        """
        found = find_not_finite(optimizer_state.read_arrays(self._gluon, list(self._optimized)))
        return found and f"{found.rpartition('/')[0]} (its optimizer state)"

    def _update(self) -> None:
        if len(self._data) > 1:
            self._gluon.allreduce_grads()
        for method in self._gradient:
            for name, parameter in self._trainable.items():
                for weight, gradient in zip(parameter.list_data(), parameter.list_grad()):
                    _put(method(mx.nd, name, weight, gradient), gradient)
        for index, parameter in enumerate(self._optimized.values()):
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


def train(
    trainer: Trainer,
    *,
    first_step: int,
    steps: int,
    every: int,
    evaluate: Callable[[int], bool],
    stepped: Callable[[int], None],
) -> None:
    """Train, and evaluate at regular intervals and after the last step.

    Args:
        trainer: Takes the steps.
        first_step: Number of steps already taken.
        steps: Total number of steps.
        every: Number of steps between evaluations.
        evaluate: Called with the number of steps taken; returns whether to continue.
        stepped: Called after each step with the number of steps taken.
    """
    step = first_step
    while step < steps:
        until = min(steps, (step // every + 1) * every)
        trainer.steps(step, until, stepped)
        mx.nd.waitall()
        step = until if evaluate(until) else steps
