"""Checks and their outcomes, and one-line descriptions of a method's errors."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NamedTuple

from normlab.conformance.subjects.places import WHOLE, Place, build_at
from normlab.errors import NormlabError
from normlab.norms.contract import Norm

#: The possible results of a check.
PASSED, FAILED, EXPECTED, UNEXPECTED = "passed", "failed", "expected failure", "unexpected pass"


class CheckFailed(AssertionError):  # noqa: N818 - a failed check is not an error of the program
    """A method breaks the contract; the message says how."""


class Outcome(NamedTuple):
    """The outcome of one check of one method.

    Attributes:
        norm: Name of the method.
        check: Name of the check.
        result: `passed`, `failed`, `expected failure` or `unexpected pass`.
        meaning: What the check requires, in one sentence.
        why: Why it failed, or why it is expected to fail.
        seconds: How long it took.
    """

    norm: str
    check: str
    result: str
    meaning: str
    why: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the check passed, or failed as expected; an unexpected pass is not good."""
        return self.result in {PASSED, EXPECTED}


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Attributes:
        name: Its name in lists, options and test ids.
        meaning: What it requires, in one sentence.
        run: A function of the subject that raises if the method fails. The subject is the `Norm` itself for the method
            as a whole, a `normlab.conformance.subjects.specimen.Specimen` for the ways inside a network, and a
            `normlab.conformance.subjects.stepper.Stepper` for the ways around an optimizer step.
        ways: The ways that it applies to; `method` for the method as a whole.
        when: A predicate on the method, built for its place (on the `Norm`, for the method as a whole). The check
            applies where it is true.
    """

    name: str
    meaning: str
    run: Callable[[Any], None]
    ways: tuple[str, ...]
    when: Callable[[Any], bool] = _always

    def applies(self, norm: Norm, place: Place) -> bool:
        """Return whether the check applies to a method at a place; always true if it cannot be built there."""
        if place.way not in self.ways:
            return False
        try:
            return self.when(norm if place.way == WHOLE else build_at(norm, place))
        except Exception:  # noqa: BLE001 - the check itself reports why the method cannot be built
            return True


#: Every check that has been imported, by name.
REGISTERED: dict[str, Check] = {}


def check(*ways: str, when: Callable[[Any], bool] = _always) -> Callable[[Callable[[Any], None]], Check]:
    """Turn a function into a check and register it.

    The check has the function's name. Its meaning is the first sentence of the docstring.

    Args:
        *ways: The ways that it applies to.
        when: A predicate on the method built for such a way; the check applies where it is true.
    """

    def decorate(function: Callable[[Any], None]) -> Check:
        meaning = (function.__doc__ or "").strip().split("\n\n")[0]
        new = Check(function.__name__, " ".join(meaning.split()), function, ways, when)
        REGISTERED[new.name] = new
        return new

    return decorate


def require(condition: Any, message: str) -> None:
    """Fail the check unless a condition holds.

    Raises:
        CheckFailed: The condition is false.
    """
    if not condition:
        raise CheckFailed(message)


def collect_expected_failures(norm: Norm) -> dict[str, str]:
    """Return the checks that a method and its classes expect to fail, with the reasons."""
    found: dict[str, str] = {}
    for factory in norm.factories:
        found.update(getattr(factory, "expected_failures", {}))
    return {**found, **norm.expected_failures}


#: The time and the place in MXNet's own source with which its errors begin.
_ORIGIN = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")


def describe_error(error: BaseException) -> str:
    """Return an exception as one line, with the line of the method that raised it.

    Errors of MXNet contain a stack trace of their own; only their last line is kept.
    """
    if type(error).__name__ == "MXNetError":
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return _ORIGIN.sub("", lines[-1]) if lines else "MXNetError"
    text = str(error) if isinstance(error, NormlabError) else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "/mxnet/" not in frame.filename][-1]
    return f"{' '.join(text.split())} ({Path(last.filename).name}:{last.lineno})"
