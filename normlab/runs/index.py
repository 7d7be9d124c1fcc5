"""List runs quickly.

Listing runs requires the header, last record and result of each. They are cached in an SQLite index, so that ten
thousand runs are listed in a fraction of a second. The index can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from normlab.errors import StorageError
from normlab.runs.format import HISTORY, RESULT

if TYPE_CHECKING:
    from normlab.runs.record import Header


UNFINISHED = "unfinished"
DAMAGED = "damaged"
STATUSES = ("completed", "diverged", "failed", "interrupted", UNFINISHED, DAMAGED)
"""The status of a run: that of its result, or one of the last two if there is no valid result."""

#: Maximum number of bytes of a header line, and of the end of a history in which to find the last step.
_HEADER_BYTES, _TAIL_BYTES = 16_384, 4096


Stamp = tuple[int, int, int]
"""Modification time in ns, size and inode of a file; they change whenever the file is written or replaced."""


class Row(NamedTuple):
    """One run.

    Attributes:
        path: Its directory.
        name: Name of the spec.
        norm: Label of the norm.
        seed: Its seed; None if it can't be read.
        status: One of `STATUSES`.
        steps: Number of steps done, from the result or the last evaluation.
        accuracy: Final accuracy on `split`, or None if it is missing.
        split: `test`, or the last evaluated split.
        seconds: Duration of the whole run; None if it has not ended.
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
    """Find the run directories `root/name/run`, without hidden folders and in no particular order.

    Yields:
        The path, and the stamp of the result, or None if there is no result.
    """
    for name in _folders(root):
        for path in _folders(name):
            try:
                stat = os.stat(f"{path}/{RESULT}")  # noqa: PTH116 - 10,000 Path objects take 50 ms
            except OSError:  # noqa: PERF203 - a missing result must not end the loop
                if is_run(path):
                    yield path, None
            else:
                yield path, (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def is_run(path: str | Path) -> bool:
    """Return whether this is the directory of a run, finished or not."""
    return Path(path, HISTORY).is_file()


def read_row(path: str) -> Row:
    """Read the row of a run directory. If the history or result can't be read, the status is `damaged`."""
    from normlab.runs.record import Result  # noqa: PLC0415 - takes 40 ms to import, and is not needed if the index is current

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
    """Return the step of the last complete record of a history."""
    with Path(path, HISTORY).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)["step"])
    return 0


INDEX = ".index.sqlite"
_VERSION = 2
_TABLE = (
    "CREATE TABLE IF NOT EXISTS runs (path TEXT PRIMARY KEY, name, norm, seed, status, steps, accuracy, split, "
    "seconds, modified, size, inode) WITHOUT ROWID"
)
_PUT = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WIDTH = len(Row._fields)
#: Seconds to wait while another process writes.
_TIMEOUT = 0.5


def listed(root: str | Path) -> list[Row]:
    """Return all runs in a folder, sorted by name, norm and seed.

    Args:
        root: The folder of the runs, as given by `--out`.
    """
    found = dict(directories(str(root)))
    rows, stamps = _read(Path(root) / INDEX)
    if stamps == found:
        return rows
    rows = [row for row in rows if stamps[row.path] == found.get(row.path)]
    read = [read_row(path) for path in found.keys() - {row.path for row in rows}]
    new = [(*row, *stamp) for row in read for stamp in [found[row.path]] if stamp is not None]
    gone = stamps.keys() - found.keys()
    if new or gone:
        _write(Path(root) / INDEX, new, gone)
    return sorted([*rows, *read], key=_order)


def _order(row: Row) -> tuple[object, ...]:
    return row.name, row.norm, -1 if row.seed is None else row.seed, row.path


def _read(path: Path) -> tuple[list[Row], dict[str, Stamp]]:
    """Return the sorted rows of the index and their stamps; both empty if there is no usable index."""
    columns = list(zip(*_query(path)))
    if not columns:
        return [], {}
    return list(map(Row._make, zip(*columns[:_WIDTH]))), dict(zip(columns[0], zip(*columns[_WIDTH:])))


def _query(path: Path) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=_TIMEOUT)) as base:
            if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                return []
            return base.execute("SELECT * FROM runs ORDER BY name, norm, seed, path").fetchall()
    except (sqlite3.Error, TypeError):
        return []


def _write(path: Path, new: Iterable[tuple[object, ...]], gone: Iterable[str]) -> None:
    """Update the index. If it can't be written, the next listing is slower, but there is no error."""
    try:
        _update(path, new, gone)
    except sqlite3.OperationalError:  # read-only, or locked by another process that writes the same
        return
    except sqlite3.DatabaseError:
        with suppress(OSError):
            path.unlink()


def _update(path: Path, new: Iterable[tuple[object, ...]], gone: Iterable[str]) -> None:
    with closing(sqlite3.connect(path, timeout=_TIMEOUT)) as base, base:
        base.execute("BEGIN IMMEDIATE")
        if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            base.execute("DROP TABLE IF EXISTS runs")
            base.execute(f"PRAGMA user_version = {_VERSION}")
        base.execute(_TABLE)
        base.executemany("DELETE FROM runs WHERE path = ?", [(each,) for each in gone])
        base.executemany(_PUT, new)
