"""One `normlab` process, from its arguments to its exit status."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from normlab.cli import ending, signals
from normlab.cli.app import root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Where a shell's completion script says what it wants; click's own convention for a program of this name.
COMPLETION_VARIABLE = "_NORMLAB_COMPLETE"

#: New objects after which Python looks for garbage: imports make many and leave none, and looking took 0.2 s of them.
_YOUNG = 50_000


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `normlab` with `arguments` (default: those of the process) and end with its exit status."""
    gc.set_threshold(_YOUNG)
    signals.listen()
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(root, {}, "normlab", COMPLETION_VARIABLE, instruction))
    if arguments is not None:
        sys.exit(perform(arguments))
    status = perform(sys.argv[1:])
    if "mxnet" in sys.modules:
        _leave(status)
    sys.exit(status)


def perform(arguments: Sequence[str]) -> int:
    """Run one command and tell on standard error whatever goes wrong.

    Args:
        arguments: The words after `normlab`.

    Returns:
        The exit status.
    """
    debug = ending.debugging(arguments)
    try:
        with _quiet_libraries(debug=debug):
            status = _invoke(arguments)
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - this is the last door: each error gets its status here
        status = ending.tell(error, debug=debug)
    return status


def _leave(status: int) -> NoReturn:
    """End the process without taking MXNet apart first, which takes 0.3 s and changes nothing: the system does it."""
    atexit._run_exitfuncs()  # noqa: SLF001 - Python's own end runs them, and os._exit does not
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _invoke(arguments: Sequence[str]) -> int:
    # Not click's own `main`: that one ends the process with statuses of its own.
    with root.make_context("normlab", list(arguments), obj=tuple(arguments)) as context:
        return int(root.invoke(context) or 0)


@contextmanager
def _quiet_libraries(*, debug: bool) -> Iterator[None]:
    """Keep warnings that libraries address to programmers from the screen, unless somebody asked for them."""
    with warnings.catch_warnings():
        if not debug and not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield
