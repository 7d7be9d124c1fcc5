"""The tools of checks: comparison, finite differences, side effects, specimens."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from faulty import layers, others, sound

from normlab.backend.compiled import no_compiled_functions
from normlab.backend.mxnet import mxnet
from normlab.conformance.check import CheckFailed
from normlab.conformance.numerics import DOUBLE, SINGLE, require_close, require_gradient
from normlab.conformance.subjects.places import Place, find_channels
from normlab.conformance.subjects.side_effects import observe
from normlab.conformance.subjects.specimen import Specimen
from normlab.errors import SpecError
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer

RNG = np.random.default_rng(5)
POINT, COTANGENT = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))


def gradient(derivative):
    return COTANGENT * derivative(POINT)


@pytest.mark.parametrize("precision", [DOUBLE, SINGLE], ids=["double", "single"])
def test_correct_gradient_agrees_with_differences(precision):
    require_gradient(np.tanh, POINT, gradient(lambda x: 1 - np.tanh(x) ** 2), COTANGENT, precision, "tanh")


def test_correct_gradient_agrees_in_float32():
    def rounded(x):
        return np.tanh(x.astype("float32"))

    require_gradient(
        rounded, POINT, gradient(lambda x: 1 - np.tanh(x) ** 2).astype("float32"), COTANGENT, SINGLE, "tanh"
    )


@pytest.mark.parametrize(("precision", "error"), [(DOUBLE, 1e-4), (SINGLE, 0.03)], ids=["double", "single"])
def test_slightly_wrong_gradient_is_caught(precision, error):
    wrong = gradient(lambda x: (1 + error) * (1 - np.tanh(x) ** 2))
    with pytest.raises(CheckFailed, match="tanh: along one direction the gradient is"):
        require_gradient(np.tanh, POINT, wrong, COTANGENT, precision, "tanh")


def test_gradient_wrong_in_one_element_is_caught():
    wrong = gradient(lambda x: 1 - np.tanh(x) ** 2)
    wrong[2, 1] *= 1.1
    with pytest.raises(CheckFailed):
        require_gradient(np.tanh, POINT, wrong, COTANGENT, DOUBLE, "tanh")


def test_kink_near_the_point_is_not_an_error():
    point = np.where(np.abs(POINT) < 0.5, 2e-3, POINT)
    right = COTANGENT * (point > 0)
    require_gradient(lambda x: np.maximum(x, 0), point, right, COTANGENT, SINGLE, "relu")


def test_zero_gradient_agrees_for_a_constant_only():
    require_gradient(np.ones_like, POINT, np.zeros_like(POINT), COTANGENT, DOUBLE, "ones")
    with pytest.raises(CheckFailed):
        require_gradient(np.tanh, POINT, np.zeros_like(POINT), COTANGENT, DOUBLE, "tanh")


def test_gradient_of_another_shape_is_caught():
    with pytest.raises(CheckFailed, match=r"has shape \(12,\), expected \(4, 3\)"):
        require_gradient(np.tanh, POINT, np.zeros(12), COTANGENT, DOUBLE, "tanh")


@pytest.mark.parametrize(
    ("found", "expected"),
    [([1.0, 2.0], [1.0, 2.1]), ([1.0, np.nan], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([np.inf, 1.0], [1.0, 1.0])],
)
def test_difference_of_arrays_is_reported_with_its_meaning(found, expected):
    with pytest.raises(CheckFailed, match="it means this"):
        require_close(np.array(found), np.array(expected), "it means this")


@pytest.mark.parametrize("expected", [[1e6, 1.0], [np.nan, 0.0], [0.0, 0.0]])
def test_arrays_that_differ_by_rounding_are_close(expected):
    expected = np.array(expected)
    require_close(expected + 1e-6 * np.nanmax(np.abs(expected)), expected, "rounding")


def specimen(factory=sound.Batch, layout="NCHW", way="layer", **site):
    return Specimen(Norm("subject", **{way: factory}), Place(way, layout), **site)


@pytest.mark.parametrize(("layout", "shape"), [("NC", (6, 8)), ("NCHW", (6, 8, 3, 5))])
def test_inputs_have_the_layout_and_are_the_same_each_time(layout, shape):
    one, other = specimen(layout=layout), specimen(layout=layout)
    assert one.inputs()[0].shape == shape
    np.testing.assert_array_equal(one.inputs()[0], other.inputs()[0])
    assert (one.inputs()[0] != one.inputs("other")[0]).all()


def test_perturbing_changes_every_parameter_and_state_and_keeps_signs():
    subject = specimen()
    before = subject.values()
    subject.perturb()
    for name, value in subject.values().items():
        assert (value != before[name]).all(), name
    assert (subject.values()["gamma"] > 0).all()


def test_copy_has_the_values_and_its_own_state():
    one = specimen()
    one.perturb()
    other = one.copy()
    np.testing.assert_array_equal(
        one.run(one.inputs(), training=False).output, other.run(one.inputs(), training=False).output
    )
    other.run(one.inputs(), training=True, frozen=False)
    assert (one.values()["running_mean"] != other.values()["running_mean"]).all()


def test_weight_method_starts_from_the_weight():
    subject = specimen(sound.Weight, "conv", "weight")
    weight = subject.inputs()[0]
    np.testing.assert_allclose(subject.run([weight], training=True).output, weight, rtol=1e-5)


def test_true_float64_is_distinguished_from_float32_inside():
    class Single(sound.Example):
        def standardize(self, F, rows):
            return F.cast(super().standardize(F, F.cast(rows, "float32")), "float64")

    class Mixed(sound.Example):
        def standardize(self, F, rows):
            return super().standardize(F, F.cast(rows, "float32"))

    assert specimen(sound.Example, dtype="float64").is_double(training=True)
    assert not specimen(sound.Example).is_double(training=True)
    assert not specimen(Single, dtype="float64").is_double(training=True)
    assert not specimen(Mixed, dtype="float64").is_double(training=True)


def test_number_of_channels_is_the_first_that_the_method_accepts():
    class Many(NormLayer):
        most = 32

        def prepare(self):
            if self.in_channels < self.most:
                raise SpecError(f"at least {self.most} channels, not {self.in_channels}")

    assert find_channels(Norm("subject", layer=Many), Place("layer", "NC")) == 32
    assert find_channels(Norm("subject", layer=sound.Example), Place("layer", "NC")) == 8
    with pytest.raises(SpecError, match="at least 1000 channels, not 64"):
        find_channels(Norm("subject", layer=type("Most", (Many,), {"most": 1000})), Place("layer", "NC"))


def test_custom_backward_pass_is_used_where_nothing_is_compiled():
    right, wrong = (specimen(factory, "NC") for factory in (layers.CustomBackward, layers.WrongBackward))
    ones = np.ones_like(right.inputs()[0])
    factors = [each.run(right.inputs(), training=True, cotangent=ones).input_gradients[0] for each in (right, wrong)]
    assert [np.unique(factor).tolist() for factor in factors] == [[3], [2]]
    with no_compiled_functions():
        assert not right.compiles()
    assert specimen(sound.Batch).compiles()


def test_residual_specimen_has_two_inputs():
    subject = specimen(others.Residual, "NCHW", "residual")
    branch, shortcut = subject.inputs()
    expected = shortcut + 0.5 * branch
    np.testing.assert_allclose(subject.run([branch, shortcut], training=True).output, expected, rtol=1e-5)


def test_draws_prints_and_warnings_of_a_function_are_observed():
    mx = mxnet()

    def noisy():
        print("said")  # noqa: T201 - what is to be observed
        warnings.warn("careful", stacklevel=1)
        random.random()  # noqa: S311 - likewise

    assert observe(lambda: None) == ("", [], [])
    assert observe(noisy) == ("said\n", ["UserWarning: careful"], ["Python's `random`"])
    assert observe(np.random.normal).drew_from == ["numpy.random"]
    assert observe(lambda: mx.nd.random.normal(shape=(3,))).drew_from == ["mx.random"]
    assert observe(lambda: mx.nd.Dropout(mx.nd.ones((9,)), mode="always")).drew_from == ["mx.random"]
