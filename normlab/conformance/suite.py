"""Run checks on a method: all of them, in the order in which they are listed."""

from __future__ import annotations

import gc
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
    describe_error,
    expectations,
)
from normlab.conformance.checks import (
    batch,
    declaration,
    gradients,
    isolation,
    learning,
    reference,
    state,
    steps,
    traits,
    values,
)
from normlab.conformance.subjects.places import HOSTED, STEPPING, Place, places
from normlab.conformance.subjects.specimen import Specimen
from normlab.conformance.subjects.stepper import Stepper
from normlab.errors import SpecError, suggestion
from normlab.norms.contract import Norm

#: Those that tell what is wrong in the simplest terms come first.
_MODULES: tuple[ModuleType, ...] = (
    declaration,
    traits,
    values,
    isolation,
    batch,
    state,
    gradients,
    reference,
    steps,
    learning,
)

CHECKS: dict[str, Check] = {
    each.name: each for module in _MODULES for each in vars(module).values() if isinstance(each, Check)
}

#: Whoever fails this one can't be made, so that the other checks have nothing to look at.
FIRST = "constructs_from_defaults"


def chosen(names: Iterable[Any]) -> list[Check]:
    """The checks of these names, in the order of all; all of them if there are no names.

    Raises:
        SpecError: There is no check of a name.
    """
    wanted = set(names)
    for name in sorted(wanted - set(CHECKS)):
        raise SpecError(f"unknown check {name!r}{suggestion(name, CHECKS)}; `normlab check NAME` lists them")
    return [each for name, each in CHECKS.items() if not wanted or name in wanted]


class Laboratory:
    """Runs checks on one method; what stands at a place is made once, and brought back to its start for each check.

    Args:
        norm: The method.
    """

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        self._subjects: dict[Place, Any] = {}
        self._starts: dict[Place, dict[str, Any]] = {}

    def concerns(self, check: Check) -> list[Place]:
        """The places at which a check concerns the method."""
        return [place for place in places(self.norm) if check.applies(self.norm, place)]

    def examine(self, check: Check) -> None:
        """Run a check at every place that it concerns.

        Raises:
            CheckFailed: It failed, with the first place at which it did.
        """
        for place in self.concerns(check):
            self._examine(check, place)

    def _examine(self, check: Check, place: Place) -> None:
        try:
            with no_compiled_functions():
                check.run(self._subject(place))
        except CheckFailed as failure:
            raise CheckFailed(_at(place, str(failure))) from failure
        except (Exception, SystemExit) as error:
            raise CheckFailed(_at(place, f"it raises {describe_error(error)}")) from error

    def _subject(self, place: Place) -> Any:
        if place.way in HOSTED:
            return self._specimen(place)
        return Stepper(self.norm, place) if place.way in STEPPING else self.norm

    def _specimen(self, place: Place) -> Specimen:
        if place not in self._subjects:
            specimen = Specimen(self.norm, place)
            specimen.stir()
            self._subjects[place] = specimen
            self._starts[place] = specimen.values()
        self._subjects[place].assign(self._starts[place])
        return self._subjects[place]  # type: ignore[no-any-return] # it is what was put there


def _at(place: Place, message: str) -> str:
    return message if place.way not in (*HOSTED, *STEPPING) else f"{place}: {message}"


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
        only: Names of checks; without any, all that concern the method.
        expected_failures: Further checks that it is expected to fail, with the reasons.
        done: Called with each outcome as it comes.

    Returns:
        An outcome for each check that concerns the method. If it can't be made with its default parameters, that is
        the last one: there is nothing for the others to look at.

    Raises:
        SpecError: A name is that of no check.
    """
    chosen(expected_failures or ())
    expected = {**expectations(norm), **(expected_failures or {})}
    laboratory = Laboratory(norm)
    outcomes = []
    for check in concerning(norm, only):
        outcome = _outcome(laboratory, check, expected.get(check.name, ""))
        outcomes.append(outcome)
        done(outcome)
        if check.name == FIRST and outcome.result != PASSED:
            break
    # compiled graphs are part of cycles, and hold memory of their own
    del laboratory
    gc.collect()
    return outcomes


def concerning(norm: Norm, only: Iterable[str] = ()) -> list[Check]:
    """The checks that concern a method.

    Args:
        norm: The method.
        only: Names of checks to choose from; without any, all.

    Raises:
        SpecError: There is no check of a name.
    """
    laboratory = Laboratory(norm)
    return [check for check in chosen(only) if laboratory.concerns(check)]


def _outcome(laboratory: Laboratory, check: Check, reason: str) -> Outcome:
    started = time.perf_counter()
    result, why = PASSED, ""
    try:
        # what a method prints and warns of is for one of the checks to tell, not for the screen
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            laboratory.examine(check)
    except CheckFailed as failure:
        result, why = FAILED, str(failure)
    if reason:
        result, why = (EXPECTED, reason) if result == FAILED else (UNEXPECTED, f"expected to fail: {reason}")
    return Outcome(laboratory.norm.name, check.name, result, check.meaning, why, time.perf_counter() - started)
