"""All checks in their order, and the functions that run them on a method."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any, Callable

from normlab.backend.compiled import no_compiled_functions
from normlab.conformance.check import (
    EXPECTED,
    FAILED,
    PASSED,
    UNEXPECTED,
    Check,
    CheckFailed,
    Outcome,
    collect_expected_failures,
    describe_error,
)
from normlab.conformance.checks import (
    batch_dependence,
    declaration,
    gradients,
    isolation,
    learning,
    outputs,
    reference,
    running_state,
    steps,
    traits,
)
from normlab.conformance.subjects.places import HOSTED, STEPPING, Place, find_places
from normlab.conformance.subjects.specimen import Specimen
from normlab.conformance.subjects.stepper import Stepper
from normlab.errors import SpecError, suggestion
from normlab.norms.contract import Norm

#: The checks whose messages are easiest to understand come first.
_MODULES: tuple[ModuleType, ...] = (
    declaration,
    traits,
    outputs,
    isolation,
    batch_dependence,
    running_state,
    gradients,
    reference,
    steps,
    learning,
)

#: All checks by name, in the order in which they are run and listed.
CHECKS: dict[str, Check] = {
    each.name: each for module in _MODULES for each in vars(module).values() if isinstance(each, Check)
}

#: A method that fails this check cannot be built, so the remaining checks cannot run.
FIRST = "constructs_from_defaults"


def select(names: Iterable[Any]) -> list[Check]:
    """Return the checks with these names, in the order of `CHECKS`; without names, all of them.

    Raises:
        SpecError: A name is unknown.
    """
    wanted = set(names)
    for name in sorted(wanted - set(CHECKS)):
        raise SpecError(f"unknown check {name!r}{suggestion(name, CHECKS)}; `normlab check NAME` lists them")
    return [each for name, each in CHECKS.items() if not wanted or name in wanted]


def select_applicable(norm: Norm, only: Iterable[str] = ()) -> list[Check]:
    """Return the checks that apply to a method.

    Args:
        norm: The method.
        only: Names of checks to select from; without any, all.

    Raises:
        SpecError: A name is unknown.
    """
    checker = MethodChecker(norm)
    return [check for check in select(only) if checker.places_of(check)]


class MethodChecker:
    """Runs checks on one method.

    The subject at a place is built once. Before each check its values are reset to those at the start.

    Args:
        norm: The method.
    """

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        self._specimens: dict[Place, tuple[Specimen, dict[str, Any]]] = {}

    def places_of(self, check: Check) -> list[Place]:
        """Return the places at which a check applies to the method."""
        return [place for place in find_places(self.norm) if check.applies(self.norm, place)]

    def run(self, check: Check) -> None:
        """Run a check at every place where it applies.

        Raises:
            CheckFailed: It failed; the message starts with the first place where it did.
        """
        for place in self.places_of(check):
            self._run_at(place, check)

    def _run_at(self, place: Place, check: Check) -> None:
        at = f"{place}: " if place.way in (*HOSTED, *STEPPING) else ""
        try:
            with no_compiled_functions():
                check.run(self._subject(place))
        except CheckFailed as failure:
            raise CheckFailed(f"{at}{failure}") from failure
        except (Exception, SystemExit) as error:
            raise CheckFailed(f"{at}it raises {describe_error(error)}") from error

    def _subject(self, place: Place) -> Any:
        if place.way in STEPPING:
            return Stepper(self.norm, place)
        if place.way not in HOSTED:
            return self.norm
        if place not in self._specimens:
            new = Specimen(self.norm, place)
            new.perturb()
            self._specimens[place] = new, new.values()
        specimen, start = self._specimens[place]
        specimen.assign(start)
        return specimen


def check_norm(
    norm: Norm,
    *,
    only: Iterable[str] = (),
    expected_failures: Mapping[str, str] | None = None,
    done: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run the conformance suite on a method.

    Args:
        norm: The method.
        only: Names of checks; without any, all that apply to the method.
        expected_failures: Further checks that it is expected to fail, with the reasons.
        done: Called with each outcome.

    Returns:
        The outcome of each check that applies. If the method cannot be built with its default parameters, the outcome
        that says so is the last one.

    Raises:
        SpecError: The name of a check is unknown.
    """
    select(expected_failures or ())
    expected = {**collect_expected_failures(norm), **(expected_failures or {})}
    checker = MethodChecker(norm)
    outcomes = []
    for check in select_applicable(norm, only):
        outcome = _outcome(checker, check, expected.get(check.name, ""))
        outcomes.append(outcome)
        done(outcome)
        if check.name == FIRST and outcome.result != PASSED:
            break
    return outcomes


def _outcome(checker: MethodChecker, check: Check, reason: str) -> Outcome:
    started = time.perf_counter()
    result, why = PASSED, ""
    try:
        # the check `is_quiet` reports what a method prints and warns of
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checker.run(check)
    except CheckFailed as failure:
        result, why = FAILED, str(failure)
    if reason:
        result, why = (EXPECTED, reason) if result == FAILED else (UNEXPECTED, f"expected to fail: {reason}")
    return Outcome(checker.norm.name, check.name, result, check.meaning, why, time.perf_counter() - started)
