"""What a check is, what comes of it, and how an error of a method is described."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NamedTuple

from normlab.conformance.subjects.places import WHOLE, Place, made
from normlab.errors import NormlabError
from normlab.norms.contract import Norm

#: What can come of a check.
PASSED, FAILED, EXPECTED, UNEXPECTED = "passed", "failed", "expected failure", "unexpected pass"


class CheckFailed(AssertionError):  # noqa: N818 - reads as it is told
    """A method does not keep the contract; the message says in what."""


class Outcome(NamedTuple):
    """What came of a check.

    Attributes:
        norm: Name of the method.
        check: Name of the check.
        result: `passed`, `failed`, `expected failure` or `unexpected pass`.
        meaning: What the check asks of a method, in a sentence.
        why: Why it failed, or the reason for which it is expected to.
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
        """Whether all is as it should be; an expected failure that passes is not."""
        return self.result in {PASSED, EXPECTED}


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Check:
    """One thing that the contract asks of a method.

    Attributes:
        name: Its name, in lists, options and test ids.
        meaning: What it asks, in a sentence.
        run: Called with what stands at the place: the `Norm` itself for the method as a whole, a
            `normlab.conformance.subjects.specimen.Specimen` for the ways inside a network, a
            `normlab.conformance.subjects.stepper.Stepper` for those around a step; raises if the method fails.
        ways: The ways that it concerns, or `method` for the method as a whole.
        when: Says of the method made for the place (of the `Norm`, for the whole) whether it concerns it.
    """

    name: str
    meaning: str
    run: Callable[[Any], None]
    ways: tuple[str, ...]
    when: Callable[[Any], bool] = _always

    def applies(self, norm: Norm, place: Place) -> bool:
        """Whether the check concerns this method at this place; one that can't be made is concerned by all."""
        if place.way not in self.ways:
            return False
        try:
            return self.when(norm if place.way == WHOLE else made(norm, place))
        except Exception:  # noqa: BLE001 - whatever keeps it from being made is for the check to tell
            return True


#: Every check that was imported, by name.
REGISTERED: dict[str, Check] = {}


def check(*ways: str, when: Callable[[Any], bool] = _always) -> Callable[[Callable[[Any], None]], Check]:
    """Make a check of a function: its name is the check's, the first sentence of its docstring the meaning.

    Args:
        *ways: The ways that it concerns.
        when: Says of a method made for such a way whether it concerns it.
    """

    def decorate(function: Callable[[Any], None]) -> Check:
        meaning = (function.__doc__ or "").strip().split("\n\n")[0]
        made = Check(function.__name__, " ".join(meaning.split()), function, ways, when)
        REGISTERED[made.name] = made
        return made

    return decorate


def require(condition: Any, message: str) -> None:
    """Fail the check, unless the condition holds.

    Raises:
        CheckFailed: With the message.
    """
    if not condition:
        raise CheckFailed(message)


#: Where in MXNet's own source an error arose, and when.
_ORIGIN = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")


def describe_error(error: BaseException) -> str:
    """An exception in one line, with the line of the method where it arose.

    Of MXNet's errors, which come with a trace of its own, the last line is kept.
    """
    if type(error).__name__ == "MXNetError":
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return _ORIGIN.sub("", lines[-1]) if lines else "MXNetError"
    text = str(error) if isinstance(error, NormlabError) else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "/mxnet/" not in frame.filename][-1]
    return f"{' '.join(text.split())} ({Path(last.filename).name}:{last.lineno})"


def expectations(norm: Norm) -> dict[str, str]:
    """The failures that a method expects, of its own and of its classes, with the reasons."""
    found: dict[str, str] = {}
    for factory in norm.factories:
        found.update(getattr(factory, "expected_failures", {}))
    return {**found, **norm.expected_failures}
