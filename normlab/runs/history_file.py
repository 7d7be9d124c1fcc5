"""The file `history.jsonl`: a header line, then one line an evaluation, each sealed by a checksum.

Format version 1. A line is one JSON object in ASCII whose last field is `sum`: the first 8 hexadecimal digits of the
SHA-256 of the sum before it (nothing before the header) followed by the object's text without this field. So a changed
bit, and a line lost, doubled or moved, are found at the first line that they touch. The header stays so in every later
version, which can therefore always be told.

The one damage that an interrupted append can do, a last line without its newline, is tolerated: the line is dropped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from normlab.runs.files import PathLike, append_line, checksum, read_bytes, storage_errors, write_atomically
from normlab.runs.format import damaged
from normlab.runs.record import Header, Record

if TYPE_CHECKING:
    from typing_extensions import Self

_SEALED = re.compile(r'(?P<body>\{.*),"sum":"(?P<sum>[0-9a-f]{8})"\}')


@dataclass(frozen=True)
class Contents:
    """What a history file holds.

    Attributes:
        header: the first line.
        records: the other lines.
        lines: all lines as they stand in the file, without newlines.
        torn: whether an incomplete last line was dropped.
    """

    header: Header
    records: tuple[Record, ...]
    lines: tuple[str, ...]
    torn: bool


def read_history(path: PathLike) -> Contents:
    """Reads and verifies a history file.

    Raises:
        StorageError: the file can't be read, or is damaged in more than a torn last line; names file and line.
    """
    *lines, rest = read_bytes(path).decode("latin-1").split("\n")  # a byte that is not ASCII breaks a checksum
    last_sum = ""
    opened: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        with _damage_told(path, number):
            fields, last_sum = _opened(line, last_sum)
        opened.append(fields)
    with _damage_told(path, 1):
        header = Header.from_dict(opened[0] if opened else {})
    records: list[Record] = []
    for number, fields in enumerate(opened[1:], start=2):
        with _damage_told(path, number):
            records.append(_following(records, Record.from_dict(fields, header.splits)))
    if _SEALED.fullmatch(rest[:-1]):  # a whole line and one more byte: not an append cut short
        raise damaged(f"{path}:{len(lines) + 1}", ValueError("the newline is damaged"))
    return Contents(header, tuple(records), tuple(lines), torn=bool(rest))


class HistoryWriter:
    """Appends the records of a run to its history file, each synced to the disk before `append` returns.

    A new writer replaces an older history of that path. One process writes a history at a time; its run holds the
    lock.

    Attributes:
        path: The file.
        header: Its first line.
        records: What it holds, records of earlier starts included.
    """

    def __init__(self, path: PathLike, header: Header) -> None:
        """Begins a history.

        Args:
            path: the file to be written, in a folder that exists.
            header: its first line.

        Raises:
            StorageError: it can't be written.
        """
        line, last_sum = _sealed(header.as_dict(), "")
        write_atomically(path, line + "\n")
        self._open(path, header, [], [line], last_sum)

    @classmethod
    def resume(cls, path: PathLike, after_step: int) -> HistoryWriter:
        """Goes on with a history behind the records of up to a step; later ones are removed.

        Args:
            path: the file of an interrupted run.
            after_step: the step at which the run goes on, that of its checkpoint.

        Raises:
            StorageError: the file is damaged, or can't be written.
        """
        found = read_history(path)
        kept = [record for record in found.records if record.step <= after_step]
        lines = found.lines[: len(kept) + 1]
        if found.torn or len(lines) < len(found.lines):
            write_atomically(path, "\n".join(lines) + "\n")
        writer = cls.__new__(cls)
        writer._open(path, found.header, kept, list(lines), _sum_of(lines[-1]))  # noqa: SLF001 - its own class
        return writer

    def _open(self, path: PathLike, header: Header, records: list[Record], lines: list[str], last_sum: str) -> None:
        self.path = Path(path)
        self._lines = lines
        self.header = header
        self.records = records
        self._last_sum = last_sum
        with storage_errors(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._closed = False

    def append(self, record: Record) -> None:
        """Adds a record at the end of the file.

        Raises:
            StorageError: it can't be written; the file is then as it was before.
            ValueError: the step does not come after the last one, or the splits are not the header's.
        """
        if record.splits != self.header.splits:
            raise ValueError(f"record of {record.splits} in a history of {self.header.splits}")
        _following(self.records, record)
        line, last_sum = _sealed(record.as_dict(), self._last_sum)
        with storage_errors(self.path):
            size = os.fstat(self._descriptor).st_size
            try:
                append_line(self._descriptor, line)
                os.fsync(self._descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, size)
                raise
        self.records.append(record)
        self._lines.append(line)
        self._last_sum = last_sum

    @property
    def content(self) -> bytes:
        """What the file holds."""
        return "".join(f"{line}\n" for line in self._lines).encode()

    def close(self) -> None:
        """Closes the file; doing it twice does no harm."""
        if not self._closed:
            self._closed = True
            with storage_errors(self.path):
                os.close(self._descriptor)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()


def _sealed(fields: dict[str, Any], last_sum: str) -> tuple[str, str]:
    body = json.dumps(fields, separators=(",", ":"), allow_nan=False)[:-1]
    own = checksum(last_sum + body + "}")
    return f'{body},"sum":"{own}"}}', own


def _opened(line: str, last_sum: str) -> tuple[dict[str, Any], str]:
    sealed = _SEALED.fullmatch(line)
    if sealed is None or checksum(last_sum + sealed["body"] + "}") != sealed["sum"]:
        raise ValueError("the line does not match its checksum")
    return json.loads(sealed["body"] + "}"), sealed["sum"]


def _sum_of(line: str) -> str:
    return line[-len('01234567"}') : -len('"}')]


@contextmanager
def _damage_told(path: PathLike, line: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError, RecursionError) as error:
        raise damaged(f"{path}:{line}", error) from error


def _following(records: list[Record], record: Record) -> Record:
    if records and record.step <= records[-1].step:
        raise ValueError(f"step {record.step} does not come after step {records[-1].step}")
    return record
