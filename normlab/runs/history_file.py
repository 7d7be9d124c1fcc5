"""Read and write `history.jsonl`: a header line, then one line per evaluation, each with a checksum.

Format version 1. A line is a JSON object in ASCII whose last field is `sum`: the first 8 hexadecimal digits of the
SHA-256 of the previous line's sum (empty for the header) followed by the text of the object without this field. Any
changed bit, and any line that is lost, duplicated or moved, is therefore detected at the first line that it affects.
The header keeps this form in all later versions, so the version can always be read.

If appending is interrupted, the last line may lack its newline. Such a line is dropped without an error.
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

_LINE = re.compile(r'(?P<body>\{.*),"sum":"(?P<sum>[0-9a-f]{8})"\}')


@dataclass(frozen=True)
class Contents:
    """The content of a history file.

    Attributes:
        header: The first line.
        records: The other lines.
        lines: The text of all lines, without newlines.
        torn: Whether an incomplete last line was dropped.
    """

    header: Header
    records: tuple[Record, ...]
    lines: tuple[str, ...]
    torn: bool


def read_history(path: PathLike) -> Contents:
    """Read and verify a history file.

    Raises:
        StorageError: The file can't be read, or is damaged other than by an incomplete last line. The message has the
            file and line.
    """
    # a byte that is not ASCII does not match its checksum
    *lines, rest = read_bytes(path).decode("latin-1").split("\n")
    last_sum = ""
    parsed: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        with _reporting_damage(path, number):
            fields, last_sum = _verify_line(line, last_sum)
        parsed.append(fields)
    with _reporting_damage(path, 1):
        header = Header.from_dict(parsed[0] if parsed else {})
    records: list[Record] = []
    for number, fields in enumerate(parsed[1:], start=2):
        with _reporting_damage(path, number):
            records.append(_check_order(records, Record.from_dict(fields, header.splits)))
    if _LINE.fullmatch(rest[:-1]):  # a complete line and one more byte, so the append was not interrupted
        raise damaged(f"{path}:{len(lines) + 1}", ValueError("the newline is damaged"))
    return Contents(header, tuple(records), tuple(lines), torn=bool(rest))


class HistoryWriter:
    """Appends the records of a run to its history file, and syncs each to the disk before `append` returns.

    A new writer replaces an existing history file. Only one process may write a history at a time; it must hold the
    lock of the run.

    Attributes:
        path: The file.
        header: Its first line.
        records: Its records, including those of earlier starts.
    """

    def __init__(self, path: PathLike, header: Header) -> None:
        """Create a history file.

        Args:
            path: The file, in an existing folder.
            header: The first line.

        Raises:
            StorageError: The file can't be written.
        """
        line, last_sum = _add_checksum(header.as_dict(), "")
        write_atomically(path, line + "\n")
        self._open(path, header, [], [line], last_sum)

    @classmethod
    def resume(cls, path: PathLike, after_step: int) -> HistoryWriter:
        """Continue a history after the records of a step; later records are removed.

        Args:
            path: The history file of an interrupted run.
            after_step: The step of the checkpoint from which the run is resumed.

        Raises:
            StorageError: The file is damaged or can't be written.
        """
        found = read_history(path)
        kept = [record for record in found.records if record.step <= after_step]
        lines = found.lines[: len(kept) + 1]
        if found.torn or len(lines) < len(found.lines):
            write_atomically(path, "\n".join(lines) + "\n")
        writer = cls.__new__(cls)
        writer._open(path, found.header, kept, list(lines), _read_sum(lines[-1]))  # noqa: SLF001 - a method of this class
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
        """Append a record to the file.

        Raises:
            StorageError: The record can't be written; the file is unchanged.
            ValueError: The step does not come after the last one, or the splits differ from the header.
        """
        if record.splits != self.header.splits:
            raise ValueError(f"record of {record.splits} in a history of {self.header.splits}")
        _check_order(self.records, record)
        line, last_sum = _add_checksum(record.as_dict(), self._last_sum)
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
        """The content of the file."""
        return "".join(f"{line}\n" for line in self._lines).encode()

    def close(self) -> None:
        """Close the file. Closing it again has no effect."""
        if not self._closed:
            self._closed = True
            with storage_errors(self.path):
                os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _add_checksum(fields: dict[str, Any], last_sum: str) -> tuple[str, str]:
    body = json.dumps(fields, separators=(",", ":"), allow_nan=False)[:-1]
    own = checksum(last_sum + body + "}")
    return f'{body},"sum":"{own}"}}', own


def _verify_line(line: str, last_sum: str) -> tuple[dict[str, Any], str]:
    match = _LINE.fullmatch(line)
    if match is None or checksum(last_sum + match["body"] + "}") != match["sum"]:
        raise ValueError("the line does not match its checksum")
    return json.loads(match["body"] + "}"), match["sum"]


def _read_sum(line: str) -> str:
    return line[-len('01234567"}') : -len('"}')]


@contextmanager
def _reporting_damage(path: PathLike, line: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError, RecursionError) as error:
        raise damaged(f"{path}:{line}", error) from error


def _check_order(records: list[Record], record: Record) -> Record:
    if records and record.step <= records[-1].step:
        raise ValueError(f"step {record.step} does not come after step {records[-1].step}")
    return record
