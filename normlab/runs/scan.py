"""Run directories below a folder, each in a line: what ran, how it ended, what it came to."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional

from normlab.errors import StorageError
from normlab.runs.format import HISTORY, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from normlab.runs.record import Header

UNFINISHED = "unfinished"
DAMAGED = "damaged"
STATUSES = ("completed", "diverged", "failed", "interrupted", UNFINISHED, DAMAGED)
"""How a run can be found: as its result says, or without a sound result."""

#: Bytes of the longest header line, and from a history's end to the last step in it.
_HEADER_BYTES, _TAIL_BYTES = 16_384, 4096


Stamp = tuple[int, int, int]
"""What changes whenever a file is replaced or written: its time in ns, size and inode."""


class Row(NamedTuple):
    """One run.

    Attributes:
        path: Its directory.
        name: The spec's name.
        norm: The norm, in a word.
        seed: Its seed; None if it can't be read.
        status: One of `STATUSES`.
        steps: Steps done, as far as an evaluation or the result tells.
        accuracy: Final accuracy on `split`, None where it is missing.
        split: `test`, or the last split evaluated.
        seconds: Of the whole run; None before its end.
    """

    path: str
    name: str
    norm: str
    seed: Optional[int]
    status: str
    steps: int
    accuracy: Optional[float]
    split: str
    seconds: Optional[float]


def directories(root: str) -> Iterator[tuple[str, Stamp | None]]:
    """The run directories `root/name/run`, in no order; what is hidden or no folder is passed over.

    Yields:
        The path, and the stamp of the run's result, None without one.
    """
    for name in _folders(root):
        for path in _folders(name):
            try:
                told = os.stat(f"{path}/{RESULT}")  # noqa: PTH116 - 10,000 Paths cost 50 ms
            except OSError:  # noqa: PERF203 - one that is not there must not cost the others
                if is_run(path):
                    yield path, None
            else:
                yield path, (told.st_mtime_ns, told.st_size, told.st_ino)


def is_run(path: str | Path) -> bool:
    """Whether this is the directory of a run, finished or not."""
    return Path(path, HISTORY).is_file()


def read_row(path: str) -> Row:
    """Read what a run directory tells; if its history or result can't be read, it is `damaged`."""
    from normlab.runs.record import Result  # noqa: PLC0415 - costs 40 ms, and what the index tells needs none of it

    try:
        header = _header(path)
        common = (path, header.name, header.label, header.seed)
        split = _split(header.splits)
        if not Path(path, RESULT).exists():
            return Row(*common, UNFINISHED, _last_step(path), None, split, None)
        result = Result.load(Path(path, RESULT))
        accuracy = result.final.get(f"{split}_accuracy")
        return Row(*common, result.status, result.steps, accuracy, split, result.seconds)
    except (OSError, ValueError, StorageError):
        return Row(path, Path(path).parent.name, "", None, DAMAGED, 0, None, "", None)


def _folders(folder: str) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.name[0] != "." and entry.is_dir(follow_symlinks=False)]
    return []


def _header(path: str) -> Header:
    from normlab.runs.record import Header  # noqa: PLC0415 - as above

    with Path(path, HISTORY).open("rb") as file:
        fields = json.loads(file.readline(_HEADER_BYTES))
    return Header.from_dict({key: value for key, value in fields.items() if key != "sum"})


def _split(splits: Sequence[str]) -> str:
    return "test" if "test" in splits or not splits else splits[-1]


def _last_step(path: str) -> int:
    """The step of the last whole record of a history."""
    with Path(path, HISTORY).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)["step"])
    return 0
