"""Run the conformance suite as pytest tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from normlab.conformance.check import Check, collect_expected_failures
from normlab.conformance.suite import MethodChecker, select_applicable
from normlab.norms.contract import Norm

#: Tests of one method follow each other and share the subjects at its places.
_checker = lru_cache(maxsize=1)(MethodChecker)


class CheckOfNorm(NamedTuple):
    """A check as a function of a method.

    Attributes:
        check: The check.
    """

    check: Check

    def __call__(self, norm: Norm) -> None:
        """Run the check on a method, at every place that it applies to.

        Raises:
            CheckFailed: The method fails it.
        """
        _checker(norm).run(self.check)


def parametrize_with_checks(norms: Sequence[Norm]) -> Any:
    """Return a decorator that runs a test once for each method and each check that applies to it.

        @parametrize_with_checks([normlab.norm("my_norm", ["my_norm.py"])])
        def test_conformance(norm, check):
            check(norm)

    Test ids are like `my_norm-gradient_of_input`. Failures that a method expects become strict xfails.

    Args:
        norms: The methods.
    """
    import pytest  # noqa: PLC0415 - normlab itself does not need pytest

    parameters = []
    for norm in norms:
        expected = collect_expected_failures(norm)
        for check in select_applicable(norm):
            reason = expected.get(check.name)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            parameters.append(pytest.param(norm, CheckOfNorm(check), marks=marks, id=f"{norm.name}-{check.name}"))
    return pytest.mark.parametrize(("norm", "check"), parameters)
