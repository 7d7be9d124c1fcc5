"""Lets ordinary tests use the torture's parts, in small numbers."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "torture"
sys.path.insert(0, str(FOLDER))

import concurrency  # noqa: E402 - likewise
import corruption  # noqa: E402 - likewise
import diverging  # noqa: E402 - likewise
import full_disk  # noqa: E402 - likewise
import kills  # noqa: E402 - likewise
import resuming  # noqa: E402 - likewise
import signals  # noqa: E402 - likewise
import tally  # noqa: E402 - likewise
import trials  # noqa: E402 - the torture is a folder that runs, not a package

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
    """Every try of a promise was kept, and there were enough of them."""
    assert found.broken == []
    assert found.tried >= least
