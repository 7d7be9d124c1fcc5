"""How checks are run: outcomes, expected failures, errors of methods, an author's own pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_tools import environment
from faulty import behaviour, declarations, sound

from normlab.conformance import CHECKS, Check, check_norm, parametrize_with_checks
from normlab.conformance.check import EXPECTED, FAILED, PASSED, UNEXPECTED
from normlab.conformance.subjects.places import Place, places
from normlab.conformance.suite import concerning
from normlab.errors import SpecError
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer

FACTS = {"title": "Subject of a test", "formula": "y = x"}
DEPENDS = "examples_are_independent"


def subject(factory, **facts):
    return Norm("subject", layer=factory, **{**FACTS, **facts})


class Admitted(behaviour.Undeclared):
    """Says of itself what it fails."""

    expected_failures = {DEPENDS: "it is batch normalization"}  # noqa: RUF012 - as an author writes it


class Raises(NormLayer):
    """Fails with an error of its own."""

    layouts = ("NC",)

    def hybrid_forward(self, F, x):
        raise ZeroDivisionError("nobody\nexpects this")


class Leaves(Raises):
    """Ends the process."""

    def hybrid_forward(self, F, x):
        sys.exit(3)


class Mismatched(Raises):
    """Adds what can't be added."""

    def hybrid_forward(self, F, x):
        return x + F.ones((3, 99))


def test_there_are_at_least_24_checks_each_with_a_sentence():
    assert len(CHECKS) >= 24
    for name, each in CHECKS.items():
        assert isinstance(each, Check)
        assert name == each.name
        assert each.meaning.endswith(".")
        assert 20 < len(each.meaning) < 130


def test_outcomes_come_in_order_and_as_they_are_made():
    seen = []
    outcomes = check_norm(subject(sound.Example), only=["shows_nan", "keeps_shape_and_type"], done=seen.append)
    assert seen == outcomes
    assert [outcome.check for outcome in outcomes] == ["keeps_shape_and_type", "shows_nan"]
    assert all(outcome.norm == "subject" and outcome.seconds > 0 for outcome in outcomes)


@pytest.mark.parametrize("norm", [subject(Admitted), subject(behaviour.Undeclared, expected_failures={DEPENDS: "why"})])
def test_failure_that_is_expected_is_good_and_keeps_its_reason(norm):
    (outcome,) = check_norm(norm, only=[DEPENDS])
    assert (outcome.result, outcome.good) == (EXPECTED, True)
    assert outcome.why in {"why", "it is batch normalization"}


def test_reason_of_the_caller_goes_before_those_of_the_method():
    (outcome,) = check_norm(subject(Admitted), only=[DEPENDS], expected_failures={DEPENDS: "as ordered"})
    assert outcome.why == "as ordered"


def test_expected_failure_that_passes_is_not_good():
    (outcome,) = check_norm(subject(sound.Example, expected_failures={DEPENDS: "habit"}), only=[DEPENDS])
    assert (outcome.result, outcome.good, outcome.why) == (UNEXPECTED, False, "expected to fail: habit")


@pytest.mark.parametrize(
    ("expected", "why"), [({"examples_are_independant": "x"}, "did you mean"), ({DEPENDS: ""}, "no reason"), ({}, "")]
)
def test_expectation_that_makes_no_sense_is_a_failure(expected, why):
    norm = subject(sound.Example, expected_failures=expected)
    (outcome,) = check_norm(norm, only=["expects_failures_by_name"])
    assert outcome.result == (FAILED if why else PASSED)
    assert why in outcome.why


@pytest.mark.parametrize("option", ["only", "expected_failures"])
def test_name_of_no_check_is_refused(option):
    with pytest.raises(SpecError, match="unknown check 'lerns'; did you mean 'learns'"):
        check_norm(subject(sound.Example), **{option: {"lerns": "why"}})


def test_method_that_can_not_be_made_stops_there():
    outcomes = check_norm(subject(declarations.WithoutDefault))
    assert (outcomes[-1].check, outcomes[-1].result) == ("constructs_from_defaults", FAILED)
    assert len(outcomes) < 5


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (Raises, "ZeroDivisionError: nobody expects this (test_suite.py:"),
        (Leaves, "SystemExit: 3"),
        (Mismatched, "layer NC: it raises MXNetError: "),
    ],
)
def test_error_of_a_method_is_a_failure_told_in_one_line(factory, why):
    (outcome,) = check_norm(subject(factory), only=["keeps_shape_and_type"])
    assert outcome.result == FAILED
    assert why in outcome.why
    assert "\n" not in outcome.why


def test_interrupt_is_not_taken_for_a_failure():
    def interrupt(*_):
        raise KeyboardInterrupt

    interrupted = type("Interrupted", (Raises,), {"hybrid_forward": interrupt})
    with pytest.raises(KeyboardInterrupt):
        check_norm(subject(interrupted), only=["keeps_shape_and_type"])


def test_places_are_the_ways_and_the_layouts_that_are_claimed():
    norm = Norm("subject", layer=sound.Batch, weight=sound.Weight, project=sound.Ball, **FACTS)
    told = ["method", "layer NC", "layer NCHW", "weight dense", "weight conv", "project"]
    assert [str(place) for place in places(norm)] == told


def test_only_checks_that_concern_a_method_are_run():
    def names(norm):
        return {check.name for check in concerning(norm)}

    assert "state_moves_once" in names(subject(sound.Batch)) - names(subject(sound.Example))
    assert "projecting_twice_is_projecting_once" in names(Norm("subject", project=sound.Ball))
    assert "matches_reference" not in names(subject(sound.Example))
    assert not {"gradient_of_input", "step_shows_nan"} & names(Norm("subject", initialize=sound.Halve))
    assert not CHECKS["shows_nan"].applies(subject(sound.Example), Place("method"))


def test_checks_do_not_depend_on_those_before():
    norm = subject(sound.Batch)
    together = {outcome.check: outcome.result for outcome in check_norm(norm)}
    for name in ("gradient_of_parameters", "state_moves_in_training", "matches_reference", "infers_channels"):
        (alone,) = check_norm(norm, only=[name])
        assert (name, alone.result) == (name, together[name]) == (name, PASSED)


def test_parametrize_gives_a_test_for_each_method_and_check():
    mark = parametrize_with_checks([subject(Admitted), Norm("other", project=sound.Ball)]).mark
    names, parameters = mark.args
    assert names == ("norm", "check")
    ids = [parameter.id for parameter in parameters]
    assert {"subject-gradient_of_input", "other-step_is_finite"} <= set(ids)
    assert len(ids) == len(set(ids))
    (marked,) = [parameter for parameter in parameters if parameter.marks]
    assert marked.id == f"subject-{DEPENDS}"
    assert marked.marks[0].kwargs == {"strict": True, "reason": "it is batch normalization"}


AUTHOR = """
from faulty import behaviour, sound
from normlab.conformance import parametrize_with_checks
from normlab.norms.contract import Norm

class Admitted(behaviour.Undeclared):
    expected_failures = {"examples_are_independent": "it is batch normalization"}

@parametrize_with_checks([
    Norm("good", layer=sound.Example), Norm("bad", layer=behaviour.GraphDiffers), Norm("admitted", layer=Admitted)
])
def test_conformance(norm, check):
    check(norm)
"""


def test_author_runs_the_suite_by_pytest(tmp_path):
    (tmp_path / "test_mine.py").write_text(AUTHOR, encoding="utf-8")
    chosen = "graph_equals_eager or independent"
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-k", chosen, str(tmp_path)]
    tests = str(environment()["PYTHONPATH"].split(":")[0]) + "/tests"
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(PYTHONPATH=f"{environment()['PYTHONPATH']}:{tests}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PASSED test_mine.py::test_conformance[good-graph_equals_eager]" in done.stdout, done.stdout
    assert "FAILED test_mine.py::test_conformance[bad-graph_equals_eager]" in done.stdout
    assert "XFAIL test_mine.py::test_conformance[admitted-examples_are_independent]" in done.stdout
    assert "layer NC: training, graph against eager: other output" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "import normlab.conformance, normlab.conformance.check, sys; assert 'mxnet' not in sys.modules",
        "import sys; sys.modules['pytest'] = None; from normlab.conformance import check_norm",
    ],
)
def test_suite_needs_neither_mxnet_to_be_imported_nor_pytest(text):
    subprocess.run([sys.executable, "-W", "ignore", "-c", text], env=environment(), check=True)
