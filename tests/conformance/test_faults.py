"""Each faulty method fails the check meant for its fault, and its correct counterpart passes that check."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from faulty import behaviour, declarations, layers, others, sound

from normlab.conformance import CHECKS, check_norm
from normlab.conformance.check import FAILED, PASSED
from normlab.norms.contract import Norm, Source


class Fault(NamedTuple):
    check: str
    wrong: type
    right: type
    way: str = "layer"
    why: str = ""


FAULTS = [
    # declaration
    Fault("constructs_from_defaults", declarations.WithoutDefault, declarations.Scaled, why="factor"),
    Fault("constructs_from_defaults", declarations.DefaultOutOfBounds, declarations.Scaled, why="greater than 0"),
    Fault("parameters_fit_in_a_spec", declarations.DefaultNotInYaml, declarations.Scaled, why="factor"),
    Fault("refuses_bad_parameters", declarations.TakesAnything, declarations.Scaled, why="factor accepts any value"),
    Fault("explains_its_parameters", declarations.Unexplained, declarations.Scaled, why="gain"),
    Fault("has_methods_of_its_ways", declarations.WithoutForward, declarations.Scaled, why="no hybrid_forward"),
    Fault("refuses_other_layouts", declarations.DropsLayout, sound.Batch, why="layout NC is accepted"),
    Fault("takes_what_a_site_tells", declarations.DropsInitializer, sound.Example, why="gamma"),
    Fault("infers_channels", declarations.FixesChannels, sound.Example),
    Fault("shift_is_as_declared", layers.BetaMultiplies, sound.Example, why="beta"),
    Fault("activation_is_left_to_the_network", layers.HiddenActivation, sound.Example, why="replaces_activation"),
    Fault("activation_is_replaced", layers.ReplacesNothing, sound.Swish, why="f(-x) = -f(x)"),
    Fault(
        "hybridizable_is_as_declared",
        layers.UndeclaredCustomBackward,
        layers.CustomBackward,
        why="set hybridizable = False",
    ),
    Fault("hybridizable_is_as_declared", behaviour.CouldBeCompiled, layers.CustomBackward, why="it compiles"),
    # outputs
    Fault("keeps_shape_and_type", layers.WrongShape, sound.Batch, why="layer NCHW"),
    Fault("keeps_shape_and_type", others.WeightFlattened, sound.Weight, "weight", why="weight conv"),
    Fault("output_follows_input", layers.NothingWithoutPositions, sound.Instance, why="layer NC"),
    Fault("leaves_its_input_alone", layers.ChangesItsInput, sound.Example, why="in place"),
    Fault("takes_one_position", layers.UnbiasedOverPositions, sound.Instance, why="not finite"),
    Fault("takes_constant_input", layers.WithoutEpsilon, sound.Example, why="all 0"),
    Fault("takes_large_and_small_input", layers.Exponential, sound.Example, why="times 10000"),
    Fault("shows_nan", layers.NanMasked, layers.NanShown, why="NaN became 0"),
    Fault("shows_nan", others.ResidualMasksNan, sound.Residual, "residual", why="NaN became"),
    Fault("takes_float16", layers.HalfOverflows, sound.Example, why="overflows"),
    Fault("bears_a_large_mean", layers.SquaresFirst, sound.Batch),
    # isolation
    Fault("graph_equals_eager", behaviour.GraphDiffers, sound.Example, why="other output"),
    Fault("repeats_itself", behaviour.DrawsFromMXNet, sound.Example),
    Fault("draws_no_global_randomness", behaviour.DrawsFromMXNet, sound.Example, why="mx.random"),
    Fault("draws_no_global_randomness", behaviour.DrawsFromNumPy, sound.Example, why="numpy.random"),
    Fault("draws_no_global_randomness", behaviour.DrawsFromPython, sound.Example, why="Python's `random`"),
    Fault("keeps_no_hidden_state", behaviour.RemembersCalls, sound.Batch, why="self.state()"),
    Fault("saves_and_loads", behaviour.RemembersCalls, sound.Batch),
    Fault("instances_share_nothing", behaviour.SharesState, sound.Batch, why="another instance"),
    Fault("devices_agree", behaviour.WorksOnFirstDeviceOnly, sound.Example, why="second device"),
    Fault("is_quiet", behaviour.Prints, sound.Example, why="prints"),
    Fault("is_quiet", behaviour.Warns, sound.Example, why="this may change"),
    # dependence on the batch
    Fault("examples_are_independent", behaviour.Undeclared, sound.Example, why="depends_on_batch"),
    Fault("examples_are_independent", layers.StatisticsOverExamples, sound.Example, why="depends_on_batch"),
    Fault("batch_matters_as_declared", behaviour.DeclaredWithoutNeed, sound.Batch, why="change nothing"),
    Fault("prediction_ignores_the_batch", behaviour.UsesBatchAtInference, sound.Batch, why="running statistics"),
    Fault("predicts_one_example", behaviour.UsesBatchAtInference, sound.Batch),
    Fault("takes_its_minimum_batch", behaviour.TooFewExamples, sound.Batch, why="raise minimum_batch"),
    Fault("takes_any_batch_size", behaviour.TiedToBatchSize, sound.Example, why="after one of another size"),
    Fault("positions_are_alike", layers.StatisticsOverRows, sound.Instance, why="over one axis"),
    # running state
    Fault("state_moves_in_training", behaviour.VarianceNeverUpdated, sound.Batch, why="'running_var'"),
    Fault("state_moves_once", behaviour.OperatorWrites, sound.Batch, why="1 backward pass"),
    Fault("state_rests_in_prediction", behaviour.UpdatesAtInference, sound.Batch),
    Fault("state_rests_in_prediction", behaviour.OperatorWrites, sound.Batch, why="inference changed"),
    Fault("frozen_state_rests", behaviour.OperatorWrites, sound.Batch, why="changed"),
    # gradients
    Fault("gradient_of_input", layers.GradientCut, sound.Batch, why="the gradient is 0"),
    Fault("gradient_of_input", layers.GradientWithoutVariance, sound.Batch),
    Fault("gradient_of_input", layers.WrongBackward, layers.CustomBackward),
    Fault("gradient_of_input", others.WeightGradientCut, sound.Weight, "weight"),
    Fault("gradient_of_input", others.ResidualGradientCut, sound.Residual, "residual", why="input 1"),
    Fault("gradient_of_parameters", layers.WrongGradientOfGamma, sound.Batch, why="'gamma'"),
    Fault("every_parameter_learns", layers.UnusedParameter, sound.Example, why="'rho'"),
    Fault("backward_can_be_repeated", layers.ChangingGradient, layers.CustomBackward),
    # reference
    Fault("matches_reference", layers.EpsilonOutside, sound.Batch, why="reference()"),
    Fault("matches_reference", layers.KeepsTooMuch, sound.Batch, why="running_mean"),
    Fault("start_is_of_what_is_declared", others.StartsUndeclared, sound.Weight, "weight", why="'gain'"),
    # optimizer steps
    Fault("step_keeps_shape_and_type", others.FlattensGradient, sound.Clip, "gradient"),
    Fault("step_is_finite", others.DividesByNorm, sound.Clip, "gradient", why="times 0"),
    Fault("step_shows_nan", others.ClipHidesNan, sound.Clip, "gradient"),
    Fault("step_leaves_arguments_alone", others.ClipsInPlace, sound.Clip, "gradient"),
    Fault("step_repeats_itself", others.ClipsByHistory, sound.Clip, "gradient"),
    Fault("step_agrees_on_devices", others.ClipsOnFirstDevice, sound.Clip, "gradient"),
    Fault("step_acts", others.ClipsNothing, sound.Clip, "gradient"),
    Fault("projecting_twice_is_projecting_once", others.Shrinks, sound.Ball, "project"),
    # learning
    Fault("learns", layers.LearnsNothing, sound.Example, why="only"),
    Fault("initialization_is_sound", others.HalvesNothing, sound.Halve, "initialize", why="changes no parameter"),
    Fault("initialization_is_sound", others.StartsInfinite, sound.Halve, "initialize", why="not finite"),
    Fault("initialization_repeats_itself", others.HalvesByChance, sound.Halve, "initialize"),
]

#: Checks whose faults are not in a class; each has a test below or in test_suite.py.
ELSEWHERE = {"tells_what_it_is", "imports_without_mxnet", "expects_failures_by_name"}


def outcome(factory, way, check):
    norm = Norm("subject", title="Subject of a test", formula="y = x", **{way: factory})
    (only,) = check_norm(norm, only=[check])
    return only


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}-{fault.wrong.__name__}")
def test_check_fails_the_faulty_method_and_passes_the_correct_one(fault):
    wrong = outcome(fault.wrong, fault.way, fault.check)
    assert wrong.result == FAILED
    assert fault.why in wrong.why
    right = outcome(fault.right, fault.way, fault.check)
    assert (right.result, right.why) == (PASSED, "")


def test_every_check_catches_a_fault():
    assert {fault.check for fault in FAULTS} | ELSEWHERE == set(CHECKS)


RIGHT = {
    "layer": [sound.Batch, sound.Example, sound.Instance, sound.Swish, layers.CustomBackward, layers.NanShown],
    "weight": [sound.Weight],
    "residual": [sound.Residual],
    "gradient": [sound.Clip],
    "project": [sound.Ball],
    "initialize": [sound.Halve],
}


@pytest.mark.parametrize(
    ("way", "factory"), [(way, each) for way, several in RIGHT.items() for each in several], ids=str
)
def test_correct_methods_pass_all_checks(way, factory):
    norm = Norm("subject", title="Subject of a test", formula="y = x", **{way: factory})
    problems = {each.check: each.why for each in check_norm(norm) if not each.good}
    # their parameters have no descriptions
    assert set(problems) <= {"explains_its_parameters"}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"formula": ""}, "no formula"),
        ({"authors": "Wu, He", "year": 2018, "paper": ""}, "is not a reference"),
        ({"paper": "Group Normalization"}, "is not a reference"),
        ({"provenance": "sure"}, "provenance"),
    ],
)
def test_incomplete_description_is_caught(facts, why):
    description = {"title": "Subject", "formula": "y = x", "paper": "arXiv:1803.08494", **facts}
    (only,) = check_norm(Norm("subject", layer=sound.Example, **description), only=["tells_what_it_is"])
    assert (only.result, why in only.why) == (FAILED, True)


@pytest.mark.parametrize(
    ("first_lines", "why"),
    [
        ("from normlab.backend.mxnet import mxnet; mx = mxnet()", "loads MXNet"),
        ("import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass", "ms"),
        ("", ""),
    ],
)
def test_slow_import_and_import_of_mxnet_are_caught(tmp_path, first_lines, why):
    file = tmp_path / "my_norm.py"
    file.write_text(first_lines + "\nfrom normlab.norm import NormLayer\n", encoding="utf-8")
    factory = type("Mine", (sound.Example,), {"__module__": "normlab_plugin_file_of_a_test"})
    norm = Norm("subject", layer=factory, source=Source(file=str(file)))
    (only,) = check_norm(norm, only=["imports_without_mxnet"])
    assert only.result == (FAILED if why else PASSED)
    assert why in only.why
