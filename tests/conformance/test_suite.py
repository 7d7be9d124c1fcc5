"""Running checks: outcomes, expected failures, errors of methods, pytest of a plugin's author."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_tools import environment
from faulty import behaviour, declarations, sound

from normlab.conformance import CHECKS, Check, check_norm, parametrize_with_checks
from normlab.conformance.check import EXPECTED, FAILED, PASSED, UNEXPECTED
from normlab.conformance.subjects.places import Place, find_places
from normlab.conformance.suite import select_applicable
from normlab.errors import SpecError
from normlab.norms.contract import Norm
from normlab.norms.ways import NormLayer

FACTS = {"title": "Subject of a test", "formula": "y = x"}
DEPENDS = "examples_are_independent"


def subject(factory, **facts):
    return Norm("subject", layer=factory, **{**FACTS, **facts})


class Admitted(behaviour.Undeclared):
    """Declares the check that it fails."""

    expected_failures = {DEPENDS: "it is batch normalization"}  # noqa: RUF012 - the form that the docs show


class Raises(NormLayer):
    """Raises an error of its own."""

    layouts = ("NC",)

    def hybrid_forward(self, F, x):
        raise ZeroDivisionError("two\nlines")


class Leaves(Raises):
    """Exits the process."""

    def hybrid_forward(self, F, x):
        sys.exit(3)


class Mismatched(Raises):
    """Adds arrays of shapes that do not fit."""

    def hybrid_forward(self, F, x):
        return x + F.ones((3, 99))


def test_every_check_has_a_one_sentence_meaning():
    assert len(CHECKS) >= 24
    for name, each in CHECKS.items():
        assert isinstance(each, Check)
        assert name == each.name
        assert each.meaning.endswith(".")
        assert 20 < len(each.meaning) < 130


def test_outcomes_are_in_order_and_passed_to_the_callback():
    seen = []
    outcomes = check_norm(subject(sound.Example), only=["shows_nan", "keeps_shape_and_type"], done=seen.append)
    assert seen == outcomes
    assert [outcome.check for outcome in outcomes] == ["keeps_shape_and_type", "shows_nan"]
    assert all(outcome.norm == "subject" and outcome.seconds > 0 for outcome in outcomes)


@pytest.mark.parametrize("norm", [subject(Admitted), subject(behaviour.Undeclared, expected_failures={DEPENDS: "why"})])
def test_expected_failure_is_good_and_has_its_reason(norm):
    (outcome,) = check_norm(norm, only=[DEPENDS])
    assert (outcome.result, outcome.good) == (EXPECTED, True)
    assert outcome.why in {"why", "it is batch normalization"}


def test_reason_of_the_caller_replaces_that_of_the_method():
    (outcome,) = check_norm(subject(Admitted), only=[DEPENDS], expected_failures={DEPENDS: "of the caller"})
    assert outcome.why == "of the caller"


def test_unexpected_pass_is_not_good():
    (outcome,) = check_norm(subject(sound.Example, expected_failures={DEPENDS: "habit"}), only=[DEPENDS])
    assert (outcome.result, outcome.good, outcome.why) == (UNEXPECTED, False, "expected to fail: habit")


@pytest.mark.parametrize(
    ("expected", "why"), [({"examples_are_independant": "x"}, "did you mean"), ({DEPENDS: ""}, "no reason"), ({}, "")]
)
def test_expectation_for_an_unknown_check_or_without_reason_fails(expected, why):
    norm = subject(sound.Example, expected_failures=expected)
    (outcome,) = check_norm(norm, only=["expects_failures_by_name"])
    assert outcome.result == (FAILED if why else PASSED)
    assert why in outcome.why


@pytest.mark.parametrize("option", ["only", "expected_failures"])
def test_unknown_check_is_refused(option):
    with pytest.raises(SpecError, match="unknown check 'lerns'; did you mean 'learns'"):
        check_norm(subject(sound.Example), **{option: {"lerns": "why"}})


def test_checks_stop_if_the_method_cannot_be_built():
    outcomes = check_norm(subject(declarations.WithoutDefault))
    assert (outcomes[-1].check, outcomes[-1].result) == ("constructs_from_defaults", FAILED)
    assert len(outcomes) < 5


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (Raises, "ZeroDivisionError: two lines (test_suite.py:"),
        (Leaves, "SystemExit: 3"),
        (Mismatched, "layer NC: it raises MXNetError: "),
    ],
)
def test_error_of_a_method_is_a_failure_in_one_line(factory, why):
    (outcome,) = check_norm(subject(factory), only=["keeps_shape_and_type"])
    assert outcome.result == FAILED
    assert why in outcome.why
    assert "\n" not in outcome.why


def test_interrupt_is_not_a_failure():
    def interrupt(*_):
        raise KeyboardInterrupt

    interrupted = type("Interrupted", (Raises,), {"hybrid_forward": interrupt})
    with pytest.raises(KeyboardInterrupt):
        check_norm(subject(interrupted), only=["keeps_shape_and_type"])


def test_places_are_the_ways_and_their_layouts():
    norm = Norm("subject", layer=sound.Batch, weight=sound.Weight, project=sound.Ball, **FACTS)
    expected = ["method", "layer NC", "layer NCHW", "weight dense", "weight conv", "project"]
    assert [str(place) for place in find_places(norm)] == expected


def test_only_applicable_checks_are_selected():
    def names(norm):
        return {check.name for check in select_applicable(norm)}

    assert "state_moves_once" in names(subject(sound.Batch)) - names(subject(sound.Example))
    assert "projecting_twice_is_projecting_once" in names(Norm("subject", project=sound.Ball))
    assert "matches_reference" not in names(subject(sound.Example))
    assert not {"gradient_of_input", "step_shows_nan"} & names(Norm("subject", initialize=sound.Halve))
    assert not CHECKS["shows_nan"].applies(subject(sound.Example), Place("method"))


def test_checks_do_not_depend_on_earlier_ones():
    norm = subject(sound.Batch)
    together = {outcome.check: outcome.result for outcome in check_norm(norm)}
    for name in ("gradient_of_parameters", "state_moves_in_training", "matches_reference", "infers_channels"):
        (alone,) = check_norm(norm, only=[name])
        assert (name, alone.result) == (name, together[name]) == (name, PASSED)


def test_parametrize_gives_one_test_per_method_and_check():
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


def test_author_runs_the_suite_with_pytest(tmp_path):
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
def test_importing_the_suite_needs_neither_mxnet_nor_pytest(text):
    subprocess.run([sys.executable, "-W", "ignore", "-c", text], env=environment(), check=True)
