"""The graph of a Gluon network: which block runs which operator, and how these are connected."""

from __future__ import annotations

import pytest

from normlab.backend.mxnet import mxnet
from normlab.models.gluoncv.surgery import Successor, find_successor
from normlab.models.gluoncv.wiring import Wiring, infer_shapes

mx = mxnet()
nn = mx.gluon.nn


def stacked(*blocks):
    net = nn.HybridSequential()
    net.add(*blocks)
    return net


class Residual(mx.gluon.HybridBlock):
    """x + norm(conv(x)), then a relu that is called inside."""

    def __init__(self):
        super().__init__()
        # as in GluonCV, layers share a prefix, so the names of operators are not unique
        self.conv = nn.Conv2D(2, 1, prefix="same_")
        self.norm = nn.BatchNorm()

    def hybrid_forward(self, F, x):
        return F.Activation(x + self.norm(self.conv(x)), act_type="relu")


def test_every_operator_is_owned_by_the_innermost_block_that_runs_it():
    wiring = Wiring(stacked(Residual(), stacked(nn.Dense(3, activation="relu"))))
    owned = [(node.operator, node.owner) for node in wiring.nodes if node.operator != "null"]
    assert owned == [
        ("Convolution", "0.conv"),
        ("BatchNorm", "0.norm"),
        ("elemwise_add", "0"),
        ("Activation", "0"),
        ("FullyConnected", "1.0"),
        ("Activation", "1.0.act"),
    ]


def test_blocks_whose_operators_have_the_same_names_are_distinguished():
    wiring = Wiring(stacked(Residual(), Residual()))
    for name in ("0", "1"):
        (conv,), (norm,) = wiring.operators_of(f"{name}.conv"), wiring.operators_of(f"{name}.norm")
        assert wiring.nodes[norm].inputs[0] == conv
        assert wiring.consumers[conv] == [norm]
    # the relu of the first block is the input of the convolution and the sum of the second
    assert len(wiring.consumers[wiring.operators_of("0")[-1]]) == 2


def test_tracing_leaves_no_hooks():
    net = stacked(nn.Dense(2), nn.Dense(3))
    Wiring(net)
    net.initialize()
    infer_shapes(net, (4,))
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in (net, *net._children.values()))


def test_a_failing_block_leaves_no_hooks():
    class Failing(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            raise ZeroDivisionError

    net = stacked(Failing())
    with pytest.raises(ZeroDivisionError):
        Wiring(net)
    with pytest.raises(ZeroDivisionError):
        infer_shapes(net, (4,))
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in (net, net[0]))


def test_all_input_shapes_of_a_block_are_inferred():
    class Twice(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2D(2)

        def hybrid_forward(self, F, x):
            return self.pool(self.pool(x))

    net = stacked(Twice(), nn.Flatten(), nn.Dense(3, activation="relu"))
    net.initialize()
    shapes = infer_shapes(net, (2, 8, 8))
    assert shapes.output == (1, 3)
    assert shapes.inputs[id(net[0].pool)] == {(1, 2, 8, 8), (1, 2, 4, 4)}
    assert shapes.inputs[id(net[2])] == {(1, 8)}
    assert net[2].weight.shape == (3, 8)


def test_shapes_are_inferred_in_training_mode_so_that_no_weight_is_reordered_in_place():
    modes = []

    class Recording(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            modes.append(mx.autograd.is_training())
            return F.identity(x)

    infer_shapes(stacked(Recording()), (4,))
    assert modes == [True]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([nn.Activation("relu")], Successor("relu", "1")),
        ([nn.Activation("softrelu")], Successor("softplus", "1")),
        ([nn.LeakyReLU(0.01)], Successor("leaky_relu", "1")),
        ([nn.LeakyReLU(0.1)], Successor("leaky_relu of slope 0.1", "1")),
        ([nn.Swish()], Successor("silu", "1")),
        ([nn.Dense(3)], Successor("identity")),
        ([nn.HybridLambda("relu")], Successor("activation")),
        ([nn.Flatten(), nn.Activation("relu")], Successor("identity")),
        ([], Successor("identity")),
    ],
)
def test_the_activation_right_after_a_norm_is_recognized(after, expected):
    assert find_successor(Wiring(stacked(nn.BatchNorm(), *after)), "0") == expected
