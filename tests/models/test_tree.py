"""The tree of blocks: every block is found once, and replaced wherever it is held."""

from __future__ import annotations

import numpy as np
from models_support import chosen

from normlab.backend.mxnet import mxnet
from normlab.models.tree import find_all_blocks, named_blocks, sequence, substitute
from normlab.models.weights import WeightedLayer, normalize_weights

mx = mxnet()
nn = mx.gluon.nn


class Holder(mx.gluon.HybridBlock):
    """Holds one layer as an attribute, in containers and as a child."""

    def __init__(self, layer):
        super().__init__()
        self.direct = layer
        self.listed = [layer, "text"]
        self.nested = {"a": ([layer], 1), "b": {"c": layer}}
        self.chain = nn.HybridSequential()
        self.chain.add(layer)

    def hybrid_forward(self, F, x):
        return self.direct(self.listed[0](self.nested["a"][0][0](self.nested["b"]["c"](self.chain(x)))))


def test_each_block_has_one_name_which_is_gluons():
    layer = nn.Dense(3, in_units=3)
    holder = Holder(layer)
    assert list(named_blocks(holder)) == ["", "direct", "chain"]
    assert named_blocks(holder)["direct"] is layer


def test_blocks_are_found_in_attributes_lists_and_dictionaries():
    layer, hidden = nn.Dense(3), nn.Dense(4)
    holder = Holder(layer)
    holder.listed.append((hidden,))
    found = find_all_blocks(holder)
    assert [found.count(block) for block in (layer, hidden, holder.chain)] == [1, 1, 1]


def test_a_block_is_replaced_wherever_it_is_held():
    old, new = nn.Dense(3, in_units=3), nn.Activation("tanh")
    holder = Holder(old)
    substitute(holder, {id(old): new})
    assert old not in find_all_blocks(holder)
    held = [holder.direct, holder.listed[0], holder.nested["a"][0][0], holder.nested["b"]["c"], holder.chain[0]]
    assert all(block is new for block in held)
    assert holder.listed[1] == "text"
    x = mx.nd.array([[1.0, -2.0, 0.5]])
    expected = x.asnumpy()
    for _ in range(5):
        expected = np.tanh(expected)
    np.testing.assert_allclose(holder(x).asnumpy(), expected, rtol=1e-5)


def test_a_shared_layer_is_replaced_once():
    layer = nn.Dense(3, in_units=3, use_bias=False)
    holder = Holder(layer)
    holder.initialize(mx.init.One())
    ((name, weighted),) = normalize_weights(holder, chosen("doubling"))
    assert name == "direct"
    assert isinstance(holder.chain[0], WeightedLayer)
    assert holder.listed[0] is weighted
    x = mx.nd.ones((1, 3))
    assert holder(x).asnumpy()[0, 0] == 6.0**5


def test_without_norms_on_weights_nothing_is_replaced():
    net = sequence([("dense", nn.Dense(3, in_units=3))])
    assert normalize_weights(net, []) == []
    assert type(net._children["dense"]) is nn.Dense
