"""Networks and norms for tests, and a few steps of training."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import check
from normlab.datasets.synthetic import synthetic
from normlab.models.gluoncv.surgery import operate
from normlab.models.gluoncv.wiring import infer_shapes
from normlab.models.network import build
from normlab.models.sites import Sites
from normlab.norms import batch, none
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer, NormResidual, NormWeight
from normlab.spec import Part
from normlab.training.randomness import keyed, seed_mxnet

mx = mxnet()
CLASSES = 4


class Plain(NormLayer):
    """Halves its input; has no parameters."""

    def hybrid_forward(self, F, x):
        return F.identity(x) / 2


class Gate(NormLayer):
    """Scales and shifts, and replaces the activation."""

    replaces_activation = True

    def __init__(self, **site):
        super().__init__(**site)
        self.affine()

    def hybrid_forward(self, F, x, gamma, beta):
        y = F.broadcast_mul(x, F.reshape(gamma, shape=(1, -1, 1, 1)))
        y = F.broadcast_add(y, F.reshape(beta, shape=(1, -1, 1, 1)))
        return y if self.activation == "identity" else F.relu(y)


class Applying(NormLayer):
    """Applies the activation itself."""

    needs_activation = True

    def hybrid_forward(self, F, x):
        return F.Activation(x, act_type=self.activation)


class Weighing(NormLayer):
    """Multiplies by the mean weight of the layer before, and stores the mean input of that layer for each weight."""

    needs_layer_before = True

    def __init__(self, **site):
        super().__init__(**site)
        self.state("last", shape=lambda channels: (channels, self.before.unit_size))

    def hybrid_forward(self, F, x, taken, weight, last):
        if self.training:
            self.update(last=F.broadcast_like(F.reshape(F.mean(taken), shape=(1, 1)), last))
        return F.broadcast_mul(x, F.reshape(F.mean(weight), shape=(1,) * len(self.layout)))


class Doubling(NormWeight):
    """Uses twice the weight."""

    def hybrid_forward(self, F, weight):
        return weight * 2


class Scaling(NormResidual):
    """shortcut + alpha branch, where alpha starts from 0."""

    def __init__(self, **place):
        super().__init__(**place)
        self.parameter("alpha", 0.0, lambda _: (1,))

    def hybrid_forward(self, F, branch, shortcut, alpha):
        return shortcut + F.broadcast_mul(branch, F.reshape(alpha, shape=(1, 1, 1, 1)))


NORMS = {
    "batch": next(batch.normlab_norms()),
    "none": next(none.normlab_norms()),
    "plain": Norm("plain", layer=Plain),
    "gate": Norm("gate", layer=Gate),
    "applying": Norm("applying", layer=Applying),
    "weighing": Norm("weighing", layer=Weighing),
    "doubling": Norm("doubling", weight=Doubling),
    "scaling": Norm("scaling", residual=Scaling),
}

#: Small networks of each model, with the shape of their images.
SMALL = {
    "mlp": ("mlp", (1, 8, 8), {"hidden": [16, 12]}),
    "lenet": ("lenet", (1, 16, 16), {}),
    "vgg": ("vgg", (3, 8, 8), {"width": 4}),
    "resnet_a": ("resnet", (3, 8, 8), {"depth": 8}),
    "resnet_b": ("resnet", (1, 9, 7), {"depth": 8, "shortcut": "B"}),
    "gluoncv_v1": ("gluoncv", (3, 8, 8), {"network": "cifar_resnet20_v1"}),
    "gluoncv_v2": ("gluoncv", (3, 8, 8), {"network": "cifar_resnet20_v2"}),
}


def plugin(name):
    """Return the model that a module of normlab registers."""
    (model,) = import_module(f"normlab.models.{name}").normlab_models()
    return model


def chosen(*names):
    return [Part.resolved(NORMS[name], check(NORMS[name].factories, {})) for name in names]


def network(name, norms, shape, classes=CLASSES, **parameters):
    """Build a network like a run, on the CPU, with seed 0."""
    model = plugin(name)
    norms = chosen(*([norms] if isinstance(norms, str) else norms))
    checked = check(model.factories, parameters)
    part = Part.resolved(model, checked)
    return build(part, norms, shape, classes, [mx.cpu()], lambda name: keyed(0, "initialize", name))


def small(label, norms, **further):
    name, shape, parameters = SMALL[label]
    return network(name, norms, shape, **{**parameters, **further})


class Operated(NamedTuple):
    """A network after surgery, and its sites."""

    block: object
    sites: Sites


def operated(block, shape, *norms, label="test_net"):
    """Replace the norms of a Gluon network like the model `gluoncv`."""
    sites = Sites(chosen(*norms))
    block.initialize(mx.init.Xavier(), force_reinit=True)
    operate(block, infer_shapes(block, shape), sites, label)
    block.initialize(mx.init.Xavier(), force_reinit=True)
    return Operated(block, sites)


def images(shape, count=8, classes=CLASSES):
    """Return images and labels of the synthetic task."""
    split = synthetic(shape=shape, classes=classes, train=count, validation=0, test=classes).splits["train"]
    return mx.nd.array(split.images), mx.nd.array(split.labels)


def losses(net, shape, steps, *, hybridize=True, learning_rate=0.05, count=8, classes=CLASSES):
    """Train on one batch of the synthetic task; return the mean loss before each step."""
    x, y = images(shape, count, classes)

    def loss(F, x, y):
        return F.mean(F.negative(F.pick(F.log_softmax(net.block(x)), y)))

    graph = Graph(loss, net.parameters.values(), training=True, hybridize=hybridize)
    trainable = [parameter for parameter in net.parameters.values() if parameter.grad_req != "null"]
    trainer = mx.gluon.Trainer(trainable, mx.optimizer.SGD(learning_rate=learning_rate), kvstore=None)
    seen = []
    for step in range(steps):
        seed_mxnet(0, "dropout", step)
        with mx.autograd.record():
            value = graph(x, y)[0]
        value.backward()
        trainer.update(1, ignore_stale_grad=True)
        seen.append(float(value.asscalar()))
    return np.array(seen)


def predicted(block, x, *, hybridize=True):
    """Return the output of a network or block in eval mode."""
    parameters = block.collect_params().values()
    return Graph(lambda _, x: block(x), parameters, training=False, hybridize=hybridize)(x)[0].asnumpy()


def trained(block, x, *, hybridize=True):
    """Return the output of a network or block in training."""
    parameters = block.collect_params().values()
    return Graph(lambda _, x: block(x), parameters, training=True, hybridize=hybridize)(x)[0].asnumpy()
