"""The arguments that validation expects networks to pass to methods are those that networks pass."""

from __future__ import annotations

import sys

from plugin_support import write

from normlab import load_spec, run
from normlab.catalog import catalog
from normlab.catalog.validation import _BASES

SPY = '''
from normlab import Norm, NormLayer, NormResidual, NormWeight, hookimpl

PASSED = {}

class Layer(NormLayer):
    """Return the input."""

    def __init__(self, **site):
        PASSED["layer"] = set(site)
        super().__init__(**site)

    def hybrid_forward(self, F, x):
        return F.identity(x)

class Weight(NormWeight):
    """Return the input."""

    def __init__(self, **site):
        PASSED["weight"] = set(site)
        super().__init__(**site)

    def hybrid_forward(self, F, weight):
        return F.identity(weight)

class Residual(NormResidual):
    """Add branch and shortcut."""

    def __init__(self, **site):
        PASSED["residual"] = set(site)
        super().__init__(**site)

@hookimpl
def normlab_norms():
    yield Norm("spy", layer=Layer, weight=Weight, residual=Residual)
'''

SPEC = """
dataset: {name: synthetic, shape: [3, 8, 8], train: 8, validation: 0, test: 8}
model: {name: resnet, depth: 8}
norm: spy
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 1, batch_size: 8}
plugins: [spy.py]
"""


def test_validation_knows_the_arguments_that_networks_pass_for_each_way(tmp_path):
    file = write(tmp_path / "spy.py", SPY)
    run(load_spec(write(tmp_path / "a.yaml", SPEC)), out=tmp_path)
    passed = sys.modules[catalog([file]).norms.get("spy").layer.__module__].PASSED
    assert passed == {way: set(site) for way, (_, site) in _BASES.items() if site}
