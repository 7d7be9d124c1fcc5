"""The command line: what a person types, one file a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `normlab` with `arguments` (default: those of the process) and end with its exit status."""
    from normlab.cli.process import main as process

    process(arguments)
