"""A plugin whose network and norm draw random numbers, for tests of paired runs."""

from __future__ import annotations

PLUGIN = '''
"""A network and a norm that draw."""

from normlab.catalog.hookspecs import Model
from normlab.catalog.hookspecs import hookimpl
from normlab.norms.contract import Norm, NormLayer


def dropping(sites, shape, classes, *, rate: float = 0.5):
    """Dense layers with dropout between them."""
    from normlab.backend.mxnet import mxnet
    from normlab.models.layers import Dropout
    from normlab.models.tree import sequence

    nn = mxnet().gluon.nn
    first, last = nn.Dense(12, activation="relu"), nn.Dense(classes)
    site = sites.norm(12, "NC")
    return sequence([("dense0", first), ("site0", site), ("dropout0", Dropout(rate)), ("dense1", last)])


class Noise(NormLayer):
    """Adds noise in training."""

    random = True

    def hybrid_forward(self, F, x):
        return x + F.random.normal_like(x) if self.training else x


@hookimpl
def normlab_models():
    yield Model("dropping", dropping)


@hookimpl
def normlab_norms():
    yield Norm("noise", layer=Noise)
'''
