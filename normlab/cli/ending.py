"""What a person is told when a command fails, and the exit status that goes with it."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import click

from normlab.cli.views import output
from normlab.errors import ExitStatus, NormlabError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Errors of the system that mean: no room, or no device, behind the file that is written to.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
#: Characters of a foreign error's text that are shown.
_LONGEST = 200


def debugging(arguments: Sequence[str] = ()) -> bool:
    """Whether tracebacks are wanted: `--debug` among `arguments`, or `NORMLAB_DEBUG` set to anything but 0."""
    return "--debug" in arguments or os.environ.get("NORMLAB_DEBUG", "0") not in {"", "0"}


def tell(error: BaseException, *, debug: bool) -> int:
    """Say on standard error what went wrong.

    Args:
        error: What ended the command.
        debug: Whether to show its traceback too.

    Returns:
        The exit status.
    """
    message, status = explain(error)
    try:
        if debug and message:
            _show_traceback(error)
        if message:
            click.echo(message, err=True)
        sys.stdout.flush()
    except OSError:
        output.discard(sys.stdout)
    return status


def explain(error: BaseException) -> tuple[str, int]:
    """The message for a person, empty if there is nothing to say, and the exit status."""
    if isinstance(error, click.exceptions.Exit):
        return "", error.exit_code
    if isinstance(error, NormlabError):
        return str(error), int(error.status)
    if isinstance(error, click.ClickException):
        return _usage(error), ExitStatus.SPEC
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", getattr(error, "status", ExitStatus.INTERRUPTED)
    if isinstance(error, OSError):
        return _of_the_system(error)
    return _defect(error), ExitStatus.UNEXPECTED


def _of_the_system(error: OSError) -> tuple[str, int]:
    if isinstance(error, BrokenPipeError) and output.nobody_reads():
        output.discard(sys.stdout)
        return "", ExitStatus.DONE
    if error.errno in _FULL:
        where = error.filename or "standard output"
        return f"{where}: not written: {error.strerror}; make room, then run the same command again", ExitStatus.STORAGE
    return _defect(error), ExitStatus.UNEXPECTED


def _usage(error: click.ClickException) -> str:
    # click breaks some of its messages into lines and tabs
    what = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return f"normlab: {what}"
    return (
        f"{context.command_path}: {what[:1].lower()}{what[1:]}\n"
        f"{context.command.get_usage(context)}\n"
        f"for all options and examples: {context.command_path} --help"
    )


def _defect(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_LONGEST]
    return (
        f"normlab: unexpected {type(error).__name__}{': ' * bool(text)}{text}\n"
        "this is a defect of normlab, not of your spec; please report it with the traceback,\n"
        "which the same command prints with --debug, or with NORMLAB_DEBUG=1"
    )


def _show_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(type(error), error, error.__traceback__)
