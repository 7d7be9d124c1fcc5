"""One `normlab` process: signals, the command that the arguments name, its errors, its exit status."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import shlex
import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import click

from normlab.cli.app import root
from normlab.cli.views import output
from normlab.errors import ExitStatus, Interrupted, NormlabError
from normlab.experiment import stopping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whoever handles Ctrl-C handles this too."""

    status = ExitStatus.TERMINATED


def listen() -> None:
    """From here on, the first SIGINT or SIGTERM stops the command, and any further one ends the process at once.

    What stops in good order is asked to (`normlab.experiment.stopping`). Elsewhere the signal becomes an exception:
    SIGINT `KeyboardInterrupt`, SIGTERM `Terminated`. A signal that the process was started to ignore, as a shell does
    for what runs in the background, is still ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _first)


def _first(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, _second)
    stop = stopping.active()
    if stop is not None:
        stop.request(number)
        return
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _second(number: int, _: FrameType | None) -> NoReturn:
    # 128 + number is what a shell reports for a process that a signal ended.
    os._exit(128 + number)


#: Errors of the system that mean: no room, or no device, behind the file that is written to.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
#: Characters of a foreign error's text that are shown.
_LONGEST = 200


def debugging(arguments: Sequence[str] = ()) -> bool:
    """Whether tracebacks are wanted: `--debug` among `arguments`, or `NORMLAB_DEBUG` set to anything but 0."""
    return "--debug" in arguments or os.environ.get("NORMLAB_DEBUG", "0") not in {"", "0"}


def report_error(error: BaseException, *, debug: bool) -> int:
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
        interrupted = Interrupted(f"{str(error) or 'interrupted'}\nto resume: {command}")
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


#: Where a shell's completion script says what it wants; click's own convention for a program of this name.
COMPLETION_VARIABLE = "_NORMLAB_COMPLETE"

#: New objects after which Python looks for garbage: imports make many and leave none, and looking took 0.2 s of them.
_YOUNG = 50_000


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `normlab` with `arguments` (default: those of the process) and end with its exit status."""
    gc.set_threshold(_YOUNG)
    listen()
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
    debug = debugging(arguments)
    try:
        with _quiet_libraries(debug=debug):
            status = _invoke(arguments)
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - this is the last door: each error gets its status here
        status = report_error(error, debug=debug)
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
