"""What checks look at: blocks on devices and in modes, steps, small networks, imports, errors."""

from __future__ import annotations

import numpy as np
import pytest
from faulty import behaviour, others, sound

from normlab.backend.mxnet import mxnet
from normlab.conformance import CHECKS
from normlab.conformance.check import CheckFailed, check, describe_error, require
from normlab.conformance.import_cost import import_cost
from normlab.conformance.subjects.places import WHOLE, Place, defaults, made
from normlab.conformance.subjects.probe import CLASSES, EXAMPLES, layouts, losses, network, task
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
def test_mode_is_the_one_that_is_asked_for_whether_or_not_gradients_are(how):
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


def test_batch_is_twice_the_minimum_if_that_is_more_than_usual():
    greedy = type("Greedy", (sound.Batch,), {"minimum_batch": 10})
    assert Specimen(norm_of(layer=greedy), Place("layer", "NC")).batch == 20


def test_nothing_is_recorded_without_a_cotangent():
    done = batch().run(batch().inputs(), training=True)
    assert (done.input_gradients, done.gradients) == ([], {})


def test_method_that_can_not_be_compiled_is_run_eagerly():
    subject = Specimen(norm_of(layer=behaviour.TiedToBatchSize), Place("layer", "NC"))
    subject.run(subject.inputs(batch=4), training=True, how=GRAPH)
    assert subject.method.count == 4


def test_methods_are_made_with_their_defaults_and_what_the_site_tells():
    method = made(norm_of(layer=sound.Batch), Place("layer", "NC"), in_channels=3, activation="relu")
    assert (method.epsilon, method.layout, method.in_channels, method.activation) == (1e-3, "NC", 3, "relu")
    assert made(norm_of(layer=sound.Batch), Place("layer", "NC"), epsilon=1.0).epsilon == 1.0
    assert defaults(norm_of(layer=sound.Batch, gradient=sound.Clip)) == {"epsilon": 1e-3, "most": 5.0}


def test_steps_see_ordinary_parameters_and_those_of_the_methods_layer():
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


def test_steps_get_what_their_way_gets():
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
def test_small_networks_are_of_the_layouts_in_which_a_method_can_be(ways, expected):
    assert layouts(norm_of(**ways)) == expected


@pytest.mark.parametrize(
    ("ways", "host", "count"),
    [
        ({"layer": sound.Batch}, NormBlock, 2),
        ({"weight": sound.Weight}, WeightBlock, 3),
        ({"residual": sound.Residual}, ResidualBlock, 1),
        ({"gradient": sound.Clip}, NormBlock, 0),
    ],
)
def test_small_network_of_images_holds_the_method_wherever_it_acts(ways, host, count):
    small = network(norm_of(**ways), "NCHW")
    assert sum(isinstance(block, host) for block in walk(small.block)) == count
    images, labels = task("NCHW")
    assert small.block(images).shape == (EXAMPLES, CLASSES)
    assert sorted(set(labels.asnumpy())) == [*range(CLASSES)]


def test_small_networks_start_alike_whatever_the_method():
    digests = {
        network(norm_of(**ways), "NC").initialization_digest
        for ways in ({"layer": sound.Batch}, {"project": sound.Ball})
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("ways", "falls"),
    [({"project": sound.Ball}, True), ({"project": others.Shrinks}, False), ({"gradient": sound.Clip}, True)],
)
def test_methods_around_the_step_act_on_learning(ways, falls):
    before, after = losses(norm_of(**ways), "NC", 40)
    assert (after < before / 3) is falls


def test_method_at_the_start_acts_on_learning():
    (plain, _), (halved, _) = (
        losses(norm_of(**ways), "NC", 0) for ways in ({"gradient": sound.Clip}, {"initialize": sound.Halve})
    )
    assert halved < plain


def test_import_by_name_and_of_what_does_not_import(tmp_path):
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
def test_errors_are_told_in_one_line_with_their_place(error, text):
    assert describe_error(raised(error)).startswith(text)


def test_errors_of_mxnet_are_told_without_its_own_trace_and_time():
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

        More of it is not told.
        """

    assert (is_sound.name, is_sound.meaning) == ("is_sound", "It is sound, as the whole of this sentence says.")
    assert is_sound.applies(norm_of(layer=sound.Batch), Place("layer", "NC"))
    assert not is_sound.applies(norm_of(layer=sound.Example), Place("layer", "NC"))
    assert not is_sound.applies(norm_of(layer=sound.Batch), Place(WHOLE))


def test_method_that_can_not_be_made_is_concerned_by_all_checks_of_its_place():
    refusing = type("Refusing", (sound.Batch,), {"layouts": ("NTC",)})
    assert CHECKS["examples_are_independent"].applies(norm_of(layer=refusing), Place("layer", "NC"))


def test_requirement_that_does_not_hold_fails_with_its_message():
    require(1, "is not told")
    with pytest.raises(CheckFailed, match="is told"):
        require([], "is told")
