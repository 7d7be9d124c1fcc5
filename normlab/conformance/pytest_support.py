"""The conformance suite as tests of an author's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from normlab.conformance.check import Check, expectations
from normlab.conformance.suite import Laboratory, concerning
from normlab.norms.contract import Norm

#: Tests of one method follow each other and share what stands at its places.
_laboratory = lru_cache(maxsize=1)(Laboratory)


class CheckOfNorm(NamedTuple):
    """A check, called with the method.

    Attributes:
        check: The check.
    """

    check: Check

    def __call__(self, norm: Norm) -> None:
        """Run the check on a method, at every place that it concerns.

        Raises:
            CheckFailed: The method fails it.
        """
        _laboratory(norm).examine(self.check)


def parametrize_with_checks(norms: Sequence[Norm]) -> Any:
    """A decorator that runs a test once for each method and each check that concerns it.

        @parametrize_with_checks([normlab.norm("my_norm", ["my_norm.py"])])
        def test_conformance(norm, check):
            check(norm)

    Ids are like `my_norm-gradient_of_input`. Failures that a method expects are strict xfails with its reasons.

    Args:
        norms: The methods.
    """
    import pytest  # noqa: PLC0415 - normlab itself does without pytest

    parameters = []
    for norm in norms:
        expected = expectations(norm)
        for check in concerning(norm):
            reason = expected.get(check.name)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            parameters.append(pytest.param(norm, CheckOfNorm(check), marks=marks, id=f"{norm.name}-{check.name}"))
    return pytest.mark.parametrize(("norm", "check"), parameters)
