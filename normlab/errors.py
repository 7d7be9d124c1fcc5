"""The exceptions of normlab and the exit statuses of its commands.

    NormlabError                1
    ├── SpecError               2   wrong usage, spec file or parameter
    │   └── DeviceError         2   a device that does not exist
    ├── PluginError             4
    │   ├── PluginMissing       4   a plugin that a spec names does not exist
    │   ├── PluginBroken        4   a plugin can't be imported, or breaks the contract
    │   ├── PluginDuplicate     4   a plugin uses a name that is taken
    │   └── PluginIncompatible  4   a plugin needs another version of the hooks
    ├── DataError               5   a data set is missing, damaged or unsuitable
    ├── NotComparable           5   runs differ in more than what is studied
    ├── StorageError            6   a file can't be read or written
    │   ├── InUse               6   another process uses the run
    │   └── CheckpointError     6   a checkpoint is damaged, or belongs to another run
    └── Interrupted           130   the run was stopped and can be resumed (143 after SIGTERM)

Status 0 is success, 3 a run that diverged (it is stored, and nothing is raised), and 7 a study with failed runs. A
message says where the error is, what is wrong, what was expected and what to do, in that order, in one to five lines.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of the `normlab` command."""

    DONE = 0
    UNEXPECTED = 1
    SPEC = 2
    DIVERGED = 3
    PLUGIN = 4
    DATA = 5
    STORAGE = 6
    SOME_FAILED = 7
    INTERRUPTED = 130
    TERMINATED = 143


class NormlabError(Exception):
    """Base class of the errors that normlab reports to its users; any other exception is a bug in normlab."""

    status = ExitStatus.UNEXPECTED


class SpecError(NormlabError):
    """A spec, an option or a parameter is wrong; the message has one line for each mistake."""

    status = ExitStatus.SPEC


class DeviceError(SpecError):
    """The requested device does not exist on this machine."""


class PluginError(NormlabError):
    """A plugin can't be used."""

    status = ExitStatus.PLUGIN


class PluginMissing(PluginError):  # noqa: N818 - reads better without "Error"
    """A plugin that a spec or the command line names does not exist."""


class PluginBroken(PluginError):  # noqa: N818 - reads better without "Error"
    """A plugin can't be imported, or breaks the contract."""


class PluginDuplicate(PluginError):  # noqa: N818 - reads better without "Error"
    """A plugin uses a name that is already taken."""


class PluginIncompatible(PluginError):  # noqa: N818 - reads better without "Error"
    """A plugin needs another version of the hooks."""


class DataError(NormlabError):
    """A data set is missing, damaged or unsuitable."""

    status = ExitStatus.DATA


class NotComparable(NormlabError):  # noqa: N818 - reads better without "Error"
    """Runs differ in more than what is studied."""

    status = ExitStatus.DATA


class StorageError(NormlabError):
    """A file can't be read or written."""

    status = ExitStatus.STORAGE


class InUse(StorageError):  # noqa: N818 - reads better without "Error"
    """Another process uses the folder of the run."""


class CheckpointError(StorageError):
    """A checkpoint is damaged, or belongs to another run."""


class Interrupted(NormlabError):  # noqa: N818 - reads better without "Error"
    """The user or the system stopped the run; it can be resumed."""

    status = ExitStatus.INTERRUPTED


#: What names of norms, networks and data sets look like.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to `name`, or "" if none is similar."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message, `; did you mean 'batch'?`, or "" if no known name is similar."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
