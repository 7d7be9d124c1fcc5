"""Import the stress tests of tests/torture, so that the test suite can run them in small numbers."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "torture"
sys.path.insert(0, str(FOLDER))

import concurrency  # noqa: E402 - as below
import corruption  # noqa: E402 - as below
import diverging  # noqa: E402 - as below
import full_disk  # noqa: E402 - as below
import kills  # noqa: E402 - as below
import resuming  # noqa: E402 - as below
import signals  # noqa: E402 - as below
import tally  # noqa: E402 - as below
import trials  # noqa: E402 - tests/torture is a program, not a package

__all__ = [
    "FOLDER",
    "assert_kept",
    "concurrency",
    "corruption",
    "diverging",
    "full_disk",
    "kills",
    "resuming",
    "signals",
    "tally",
    "trials",
]


def assert_kept(found: tally.Tally, least: int = 1) -> None:
    """Assert that a promise was never broken in at least `least` tests."""
    assert found.broken == []
    assert found.tried >= least
