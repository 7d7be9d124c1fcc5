"""What stands around commands that train: how an interruption is told, and whether plugins are loaded."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from normlab.errors import ExitStatus, Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def interruptible(arguments: Sequence[str]) -> Iterator[None]:
    """Tell whoever interrupts a command how to go on.

    Args:
        arguments: The words of the command, after `normlab`.
    """
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as error:
        # --again would not take up what is there
        command = shlex.join(["normlab", *(word for word in arguments if word != "--again")])
        interrupted = Interrupted(f"{str(error) or 'interrupted'}\nto go on: {command}")
        interrupted.status = getattr(error, "status", ExitStatus.INTERRUPTED)
        raise interrupted from error


@contextmanager
def plugins_allowed(*, allowed: bool) -> Iterator[None]:
    """Switch plugins off through the environment, so that processes which a command starts obey too."""
    before = os.environ.get("NORMLAB_PLUGINS")
    if not allowed:
        os.environ["NORMLAB_PLUGINS"] = ""
    try:
        yield
    finally:
        if not allowed:
            del os.environ["NORMLAB_PLUGINS"]
            os.environ.update({} if before is None else {"NORMLAB_PLUGINS": before})
