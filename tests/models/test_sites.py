"""The blocks of a site: norms in order, the activation, and a bias in the layer before."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from models_support import NORMS, chosen, network, predicted

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.sites import Sites
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer
from normlab.ops.activations import ACTIVATIONS, make_activation
from normlab.spec import Part

mx = mxnet()
nn = mx.gluon.nn


class Shifting(NormLayer):
    """Adds beta, unless `center` is False."""

    def __init__(self, amount: float = 1.0, center: bool = True, **site):
        super().__init__(center=center, beta_initializer=amount, **site)
        self.affine(scale=False)

    def hybrid_forward(self, F, x, beta):
        return F.broadcast_add(x, F.reshape(beta, shape=(1, -1)))


def sites(*names):
    return Sites(chosen(*names))


def shifting(**parameters):
    return Sites([Part.resolved(Norm("shifting", layer=Shifting), {"amount": 1.0, "center": True, **parameters})])


def run(block, x):
    block.initialize()
    return predicted(block, mx.nd.array(x))


def test_norms_of_a_list_are_applied_in_order():
    block = sites("plain", "batch", "plain").norm(3, "NC", activation="relu")
    assert list(block._children) == ["norm", "norm1", "norm2", "activation"]
    kinds = [type(block._children[name].method).__name__ for name in ("norm", "norm1", "norm2")]
    assert kinds == ["Plain", "BatchNorm", "Plain"]


@pytest.mark.parametrize(("first", "expected"), [(False, [[0, 1.5]]), (True, [[0, 1.5]])])
def test_the_activation_comes_before_or_after_the_norm_as_chosen(first, expected):
    block = sites("plain").norm(2, "NC", activation="relu", activation_first=first)
    assert next(iter(block._children)) == ("activation" if first else "norm")
    np.testing.assert_allclose(run(block, [[-4, 3]]), expected)


def test_a_site_without_norm_and_activation_is_the_identity():
    assert (run(Sites([]).norm(2, "NC"), [[-4, 3]]) == [[-4, 3]]).all()


def test_parameters_of_the_spec_are_passed_to_the_method():
    assert (run(shifting(amount=2.5).norm(2, "NC"), [[1, 2]]) == [[3.5, 4.5]]).all()


def test_a_network_can_disable_a_shift_but_not_enable_it():
    trainable = {
        (spec, network): shifting(center=spec).norm(2, "NC", center=network)._children["norm"].beta.grad_req
        for spec in (True, False)
        for network in (True, False)
    }
    assert trainable == {
        (True, True): "write", (True, False): "null", (False, True): "null", (False, False): "null"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("of", "has_bias"),
    [(lambda: sites("batch"), False), (lambda: sites("none"), True), (lambda: Sites([]), True),
     (shifting, False), (lambda: shifting(center=False), True), (lambda: sites("plain", "batch"), False)],
)  # fmt: skip
def test_the_layer_before_a_site_has_a_bias_only_without_a_shift(of, has_bias):
    here = of()
    layer = here.layer_before(partial(nn.Dense, 4, in_units=3), 4, "NC")
    assert (layer.bias is not None) is has_bias
    assert here.optional_biases == ([layer.bias] if has_bias else [])


def test_joins_are_counted_and_add_by_default():
    here = sites("batch")
    assert here.joins == 0
    block = here.residual(3, 0, 1)
    assert here.joins == 1
    x = mx.nd.array([[1.0, 2.0]])
    assert (block(x, 10 * x).asnumpy() == [[11, 22]]).all()


def test_norms_that_take_over_the_activation_are_known_before_building():
    assert [sites(name).takes_activation for name in ("batch", "none", "gate", "applying", "doubling")] == [
        False, False, True, True, False
    ]  # fmt: skip
    assert [sites(name).needs_activation for name in ("gate", "applying")] == [False, True]


def test_the_label_names_all_norms():
    assert sites("doubling", "batch").label == "doubling+batch"


def test_a_note_is_added_once():
    here = sites("none")
    for _ in range(3):
        here.norm(4, "NCHW", gamma_initializer="zeros")
    assert len(here.notes) == 1


def test_gamma_is_initialized_as_the_network_requires():
    block = sites("batch").norm(4, "NCHW", gamma_initializer="zeros")
    block.initialize()
    assert not block._children["norm"].gamma.data().asnumpy().any()


FORMULAS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * np.vectorize(lambda z: math.erf(z / 2**0.5) / 2 + 0.5)(x),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(x / 6 + 0.5, 0), 1),
    "hard_swish": lambda x: np.where(x < -3, 0, np.where(x > 3, x, x * (x + 3) / 6)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_match_their_formulas(name):
    x = np.linspace(-8, 8, 35, dtype="float32").reshape(5, 7)
    np.testing.assert_allclose(run(make_activation(name), x), FORMULAS[name](x), rtol=1e-4, atol=1e-5)


def test_unknown_activations_are_refused():
    with pytest.raises(SpecError, match="unknown activation 'tahn'; did you mean 'tanh'"):
        make_activation("tahn")


def test_a_method_refuses_a_network_with_an_unsupported_layout():
    class Pictures(NormLayer):
        layouts = ("NCHW",)

        def hybrid_forward(self, F, x):
            return F.identity(x)

    NORMS["pictures"] = Norm("pictures", layer=Pictures)
    try:
        assert network("vgg", "pictures", (1, 8, 8), width=2).hosts
        assert len(network("lenet", "pictures", (1, 16, 16), norm_sites=[0, 1]).hosts) == 2
        with pytest.raises(SpecError, match="Pictures is not defined for layout NC"):
            network("lenet", "pictures", (1, 16, 16))
    finally:
        del NORMS["pictures"]
