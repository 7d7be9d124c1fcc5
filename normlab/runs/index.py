"""An index of run directories, so that ten thousand are listed in a blink: a cache that may be deleted at any time.

What a finished run tells is kept in `<root>/.index.sqlite`, with the stamp of its `result.json`; a run whose stamp is
another, and one that is not finished, is read anew. So the list is always that of a scan.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.runs.scan import Row, Stamp, directories, read_row

if TYPE_CHECKING:
    from collections.abc import Iterable

INDEX = ".index.sqlite"
_VERSION = 2
_TABLE = (
    "CREATE TABLE IF NOT EXISTS runs (path TEXT PRIMARY KEY, name, norm, seed, status, steps, accuracy, split, "
    "seconds, modified, size, inode) WITHOUT ROWID"
)
_PUT = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WIDTH = len(Row._fields)
#: Seconds to wait while another process writes.
_PATIENCE = 0.5


def listed(root: str | Path) -> list[Row]:
    """Every run below a folder, by name, norm and seed.

    Args:
        root: Where runs went, as `--out` says.
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


def rebuild(root: str | Path) -> list[Row]:
    """Throw the index away and list every run anew."""
    with suppress(OSError):
        (Path(root) / INDEX).unlink()
    return listed(root)


def _order(row: Row) -> tuple[object, ...]:
    return row.name, row.norm, -1 if row.seed is None else row.seed, row.path


def _read(path: Path) -> tuple[list[Row], dict[str, Stamp]]:
    """Rows in the order of `listed`, and the stamp of each; none if there is no index, or it can't be used."""
    columns = list(zip(*_lines(path)))
    if not columns:
        return [], {}
    return list(map(Row._make, zip(*columns[:_WIDTH]))), dict(zip(columns[0], zip(*columns[_WIDTH:])))


def _lines(path: Path) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE)) as base:
            if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                return []
            return base.execute("SELECT * FROM runs ORDER BY name, norm, seed, path").fetchall()
    except (sqlite3.Error, TypeError):
        return []


def _write(path: Path, new: Iterable[tuple[object, ...]], gone: Iterable[str]) -> None:
    """Take up what is new; if the index can't be written, the next list is slower, and that is all."""
    try:
        _put(path, new, gone)
    except sqlite3.OperationalError:  # read-only, or locked by another who writes the same
        return
    except sqlite3.DatabaseError:
        with suppress(OSError):
            path.unlink()


def _put(path: Path, new: Iterable[tuple[object, ...]], gone: Iterable[str]) -> None:
    with closing(sqlite3.connect(path, timeout=_PATIENCE)) as base, base:
        base.execute("BEGIN IMMEDIATE")
        if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            base.execute("DROP TABLE IF EXISTS runs")
            base.execute(f"PRAGMA user_version = {_VERSION}")
        base.execute(_TABLE)
        base.executemany("DELETE FROM runs WHERE path = ?", [(each,) for each in gone])
        base.executemany(_PUT, new)
