"""The same work in plain Gluon, written as a good user would, as a baseline for normlab.

`hybridize(static_alloc=True, static_shape=True)`, data on the device once, batches gathered by index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.backend.mxnet import gluoncv, mxnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

mx = mxnet()
nn = mx.gluon.nn


class Plain:
    """A network, its trainer and its data.

    Args:
        network: The network; its parameters are drawn here.
        loss: A loss of Gluon's.
        trainer: Arguments of `gluon.Trainer` after the parameters.
        images: `(N, ...)`, float32.
        labels: Labels in the form that the loss expects, `(N, ...)`.
        order: The examples of each step, `(steps, batch)`.
        share: Factor of the summed gradient of a batch in a step.
    """

    def __init__(
        self,
        network: Any,
        loss: Any,
        trainer: tuple[Any, ...],
        images: Any,
        labels: Any,
        order: NDArray[np.int32],
        share: float,
    ) -> None:
        self._network, self._loss = network, loss
        network.initialize(mx.init.Xavier())
        for block in (network, loss):
            block.hybridize(static_alloc=True, static_shape=True)
        self._images, self._labels = mx.nd.array(images), mx.nd.array(labels)
        self._order = mx.nd.array(order, dtype="int32")
        self._share = share
        self._trainer = mx.gluon.Trainer(network.collect_params(), *trainer)

    def step(self, number: int) -> None:
        """Take one step."""
        indices = self._order[number]
        images, labels = mx.nd.take(self._images, indices), mx.nd.take(self._labels, indices)
        with mx.autograd.record():
            loss = self._loss(self._network(images), labels)
        loss.backward()
        self._trainer.step(1 / self._share)

    def accuracy(self, images: Any, labels: Any, *, by_batch: bool) -> float:
        """Return the accuracy; with `by_batch`, batch norm uses the statistics of all images."""
        with mx.autograd.train_mode() if by_batch else mx.autograd.predict_mode():
            answers = mx.nd.argmax(self._network(images), axis=1)
        return float(mx.nd.mean(answers == labels).asscalar())


def of_main_job(images: NDArray[np.float32], labels: NDArray[np.int32], order: NDArray[np.int32]) -> Plain:
    """Build the network of `configs/mnist_bn.yaml`."""
    network = nn.HybridSequential()
    network.add(nn.Dense(100, activation="tanh"), nn.BatchNorm(axis=-1, epsilon=1e-3))
    network.add(nn.Dense(100, activation="tanh"), nn.Dense(10, activation="tanh"))
    loss = mx.gluon.loss.SigmoidBinaryCrossEntropyLoss(weight=10)  # it averages over ten classes
    classes = np.eye(10, dtype=np.float32)[labels]
    return Plain(network, loss, ("sgd", {"learning_rate": 0.01}), images, classes, order, share=1.0)


def of_resnet20(images: NDArray[np.float32], labels: NDArray[np.int32], order: NDArray[np.int32]) -> Plain:
    """Build GluonCV's ResNet-20 for CIFAR-10."""
    network = gluoncv().model_zoo.get_model("cifar_resnet20_v1", classes=10)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = ("sgd", {"learning_rate": 0.1, "momentum": 0.9})
    return Plain(network, loss, trainer, images, labels, order, share=1 / order.shape[1])
