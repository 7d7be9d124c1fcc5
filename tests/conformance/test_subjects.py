"""The subjects of checks: blocks on devices and in modes, optimizer steps, small networks, imports, errors."""

from __future__ import annotations

import numpy as np
import pytest
from faulty import behaviour, others, sound

from normlab.backend.mxnet import mxnet
from normlab.conformance import CHECKS
from normlab.conformance.check import CheckFailed, check, describe_error, require
from normlab.conformance.import_cost import import_cost
from normlab.conformance.subjects.places import WHOLE, Place, build_at, default_parameters
from normlab.conformance.subjects.small_network import (
    CLASSES,
    EXAMPLES,
    build_network,
    find_layouts,
    make_task,
    train,
)
from normlab.conformance.subjects.specimen import EAGER, GRAPH, PLAIN, Specimen
from normlab.conformance.subjects.stepper import Stepper
from normlab.errors import PluginBroken, SpecError
from normlab.models.tree import walk
from normlab.norms.blocks import NormBlock, ResidualBlock, WeightBlock
from normlab.norms.contract import Norm

mx = mxnet()


def norm_of(**ways):
    return Norm("subject", title="Subject of a test", formula="y = x", **ways)


def batch(layout="NC", **options):
    return Specimen(norm_of(layer=sound.Batch), Place("layer", layout), **options)


@pytest.mark.parametrize("how", [GRAPH, EAGER, PLAIN])
def test_training_pass_moves_state_unless_it_is_frozen(how):
    subject = batch()
    before = subject.values()["running_mean"]
    subject.run(subject.inputs(), training=True, how=how)
    np.testing.assert_array_equal(subject.values()["running_mean"], before)
    subject.run(subject.inputs(), training=True, how=how, frozen=False)
    assert (subject.values()["running_mean"] != before).all()


@pytest.mark.parametrize("how", [GRAPH, EAGER, PLAIN])
def test_mode_is_the_requested_one_with_and_without_gradients(how):
    subject = batch()
    inputs = subject.inputs()
    ones = np.ones_like(inputs[0])
    for cotangent in (None, ones):
        trained, predicted = (
            subject.run(inputs, training=training, how=how, cotangent=cotangent).output for training in (True, False)
        )
        np.testing.assert_allclose(trained.mean(axis=0), np.zeros(8), atol=1e-6)
        # with the running statistics from which it starts
        np.testing.assert_allclose(predicted, inputs[0] / np.sqrt(1 + sound.EPSILON), rtol=1e-5)


def test_gradients_do_not_add_up_over_passes():
    subject = batch()
    ones = np.ones_like(subject.inputs()[0])
    first, second = (subject.run(subject.inputs(), training=True, cotangent=ones) for _ in range(2))
    np.testing.assert_array_equal(first.gradients["beta"], second.gradients["beta"])
    np.testing.assert_allclose(first.gradients["beta"], np.full(8, subject.batch), rtol=1e-6)


def test_each_device_has_its_own_state_and_the_same_parameters():
    subject = batch(devices=2)
    subject.run(subject.inputs(), training=True, frozen=False, device=1)
    zero, one = subject.values(0), subject.values(1)
    assert (zero["running_mean"] == 0).all()
    assert (one["running_mean"] != 0).all()
    np.testing.assert_array_equal(zero["gamma"], one["gamma"])


def test_batch_is_at_least_twice_the_minimum():
    greedy = type("Greedy", (sound.Batch,), {"minimum_batch": 10})
    assert Specimen(norm_of(layer=greedy), Place("layer", "NC")).batch == 20


def test_nothing_is_recorded_without_a_cotangent():
    done = batch().run(batch().inputs(), training=True)
    assert (done.input_gradients, done.gradients) == ([], {})


def test_method_that_cannot_be_compiled_runs_eagerly():
    subject = Specimen(norm_of(layer=behaviour.TiedToBatchSize), Place("layer", "NC"))
    subject.run(subject.inputs(batch=4), training=True, how=GRAPH)
    assert subject.method.count == 4


def test_methods_are_built_with_defaults_and_arguments_of_the_site():
    method = build_at(norm_of(layer=sound.Batch), Place("layer", "NC"), in_channels=3, activation="relu")
    assert (method.epsilon, method.layout, method.in_channels, method.activation) == (1e-3, "NC", 3, "relu")
    assert build_at(norm_of(layer=sound.Batch), Place("layer", "NC"), epsilon=1.0).epsilon == 1.0
    assert default_parameters(norm_of(layer=sound.Batch, gradient=sound.Clip)) == {"epsilon": 1e-3, "most": 5.0}


def test_steps_cover_ordinary_parameters_and_those_of_the_methods_layer():
    class Gated(sound.Example):
        def __init__(self, **site):
            super().__init__(**site)
            self.parameter("rho", shape=lambda channels: (channels, 2))

    names = {
        case.name: case.value.shape
        for case in Stepper(norm_of(layer=Gated, project=sound.Ball), Place("project")).cases()
    }
    assert names["conv0.weight"] == (8, 3, 3, 3)
    assert names["site0.norm.rho"] == (8, 2)


def test_steps_pass_the_arguments_of_their_way():
    gradient, project = (
        Stepper(norm_of(gradient=sound.Clip), Place("gradient")),
        Stepper(norm_of(project=sound.Ball), Place("project")),
    )
    case = gradient.cases(1e3)[0]
    assert len(gradient.arrays(case)) == 2
    assert len(project.arrays(case)) == 1
    np.testing.assert_allclose(np.linalg.norm(gradient.run(case)), 5, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(project.run(case)), 10, rtol=1e-5)


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ({"layer": sound.Instance}, ("NCHW", "NTC")),
        ({"weight": sound.Weight}, ("NC", "NCHW")),
        ({"residual": sound.Residual}, ("NCHW",)),
        ({"gradient": sound.Clip}, ("NC", "NCHW")),
    ],
)
def test_small_networks_have_the_layouts_of_the_method(ways, expected):
    assert find_layouts(norm_of(**ways)) == expected


@pytest.mark.parametrize(
    ("ways", "host", "count"),
    [
        ({"layer": sound.Batch}, NormBlock, 2),
        ({"weight": sound.Weight}, WeightBlock, 3),
        ({"residual": sound.Residual}, ResidualBlock, 1),
        ({"gradient": sound.Clip}, NormBlock, 0),
    ],
)
def test_small_network_has_the_method_wherever_it_acts(ways, host, count):
    small = build_network(norm_of(**ways), "NCHW")
    assert sum(isinstance(block, host) for block in walk(small.block)) == count
    images, labels = make_task("NCHW")
    assert small.block(images).shape == (EXAMPLES, CLASSES)
    assert sorted(set(labels.asnumpy())) == [*range(CLASSES)]


def test_small_networks_start_the_same_whatever_the_method():
    digests = {
        build_network(norm_of(**ways), "NC").initialization_digest
        for ways in ({"layer": sound.Batch}, {"project": sound.Ball})
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("ways", "falls"),
    [({"project": sound.Ball}, True), ({"project": others.Shrinks}, False), ({"gradient": sound.Clip}, True)],
)
def test_methods_around_the_step_affect_learning(ways, falls):
    before, after = train(norm_of(**ways), "NC", 40)
    assert (after < before / 3) is falls


def test_initialization_affects_learning():
    (plain, _), (halved, _) = (
        train(norm_of(**ways), "NC", 0) for ways in ({"gradient": sound.Clip}, {"initialize": sound.Halve})
    )
    assert halved < plain


def test_module_is_imported_by_name_and_a_broken_file_is_an_error(tmp_path):
    assert not import_cost("normlab.norms.none", "").loads_mxnet
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        import_cost("", str(file))


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines (test_subjects.py:"),
        (SpecError("groups 3 does not divide 8"), "groups 3 does not divide 8 (test"),
        (PluginBroken("no such state"), "no such state (test"),
    ],
)
def test_errors_are_described_in_one_line_with_their_place(error, text):
    assert describe_error(raised(error)).startswith(text)


def test_errors_of_mxnet_are_described_without_trace_and_time():
    with pytest.raises(mx.base.MXNetError) as caught:
        mx.nd.dot(mx.nd.ones((2, 3)), mx.nd.ones((2, 3))).wait_to_read()
    text = describe_error(caught.value)
    assert "Check failed" in text
    assert "src/" not in text.split("Check failed")[0]


def test_check_takes_name_and_meaning_from_its_function():
    @check("layer", "weight", when=lambda method: method.depends_on_batch)
    def is_sound(_):
        """It is sound,
        as the whole of this sentence says.

        The rest is not part of it.
        """

    assert (is_sound.name, is_sound.meaning) == ("is_sound", "It is sound, as the whole of this sentence says.")
    assert is_sound.applies(norm_of(layer=sound.Batch), Place("layer", "NC"))
    assert not is_sound.applies(norm_of(layer=sound.Example), Place("layer", "NC"))
    assert not is_sound.applies(norm_of(layer=sound.Batch), Place(WHOLE))


def test_all_checks_of_a_place_apply_to_a_method_that_cannot_be_built():
    refusing = type("Refusing", (sound.Batch,), {"layouts": ("NTC",)})
    assert CHECKS["examples_are_independent"].applies(norm_of(layer=refusing), Place("layer", "NC"))


def test_requirement_that_does_not_hold_fails_with_its_message():
    require(1, "is not raised")
    with pytest.raises(CheckFailed, match="is raised"):
        require([], "is raised")
