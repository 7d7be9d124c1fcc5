"""The errors of normlab, and the status with which the process ends.

    NormlabError                1
    ├── SpecError               2   the person's mistake: usage, spec file, parameter
    │   └── DeviceError         2   a device that is not there
    ├── PluginError             4
    │   ├── PluginMissing       4   a plugin that a spec names is not there
    │   ├── PluginBroken        4   it does not import, or does not keep the contract
    │   ├── PluginDuplicate     4   it takes a name that is taken
    │   └── PluginIncompatible  4   it was written for other hooks
    ├── DataError               5   a data set that is absent, damaged or unfit
    ├── NotComparable           5   runs that differ in more than what is studied
    ├── StorageError            6   a file that can't be read or written
    │   └── CheckpointError     6   a checkpoint that is damaged or of another run
    └── Interrupted           130   (143 by SIGTERM) stopped, resumable

Status 0 is success, 3 a run that diverged (it is stored, and nothing is raised), 7 a study with failed runs. A message
says where, what is wrong, what was expected and what to do, in that order, in one to five lines.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from enum import IntEnum


class ExitStatus(IntEnum):
    """Every status with which a `normlab` process ends."""

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
    """What normlab raises for a person to read; everything else is a defect of normlab."""

    status = ExitStatus.UNEXPECTED


class SpecError(NormlabError):
    """A spec, an option or a parameter is wrong; the message has one line a mistake."""

    status = ExitStatus.SPEC


class DeviceError(SpecError):
    """The device asked for does not exist here."""


class PluginError(NormlabError):
    """A plugin can't be used."""

    status = ExitStatus.PLUGIN


class PluginMissing(PluginError):  # noqa: N818 - reads as it is told
    """A plugin that is named is not there."""


class PluginBroken(PluginError):  # noqa: N818 - reads as it is told
    """A plugin does not import, or breaks the contract."""


class PluginDuplicate(PluginError):  # noqa: N818 - reads as it is told
    """A plugin takes a name that is taken."""


class PluginIncompatible(PluginError):  # noqa: N818 - reads as it is told
    """A plugin needs another version of the hooks."""


class DataError(NormlabError):
    """A data set is absent, damaged or unfit."""

    status = ExitStatus.DATA


class NotComparable(NormlabError):  # noqa: N818 - reads as it is told
    """Runs differ in more than what is studied."""

    status = ExitStatus.DATA


class StorageError(NormlabError):
    """A file can't be read or written."""

    status = ExitStatus.STORAGE


class InUse(StorageError):  # noqa: N818 - reads as it is told
    """Another process trains the run, or has its folder for something else."""


class CheckpointError(StorageError):
    """A checkpoint is damaged, or belongs to another run."""


class Interrupted(NormlabError):  # noqa: N818 - reads as it is told
    """The person or the system stopped the run; it can be resumed."""

    status = ExitStatus.INTERRUPTED


#: The form of the names of norms, networks and data sets.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, or "" if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: `; did you mean 'batch'?`, or "" if nothing is like it."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
