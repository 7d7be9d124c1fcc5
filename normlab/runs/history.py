"""The history of a run: accuracy and loss in the same columns for every norm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from normlab.errors import SpecError, StorageError, nearest
from normlab.runs.files import PathLike
from normlab.runs.format import HISTORY, RESULT, damaged
from normlab.runs.history_file import HistoryWriter, read_history
from normlab.runs.record import Header, Record, Result, Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HISTORY", "RESULT", "Header", "History", "HistoryWriter", "Record", "Result", "Status"]


@dataclass(frozen=True, repr=False)
class History(Sequence[Record]):
    """The records of a run, in the order of their steps.

    Attributes:
        header: Name, label, seed, splits, spec and version, which apply to all records.
        records: One record per evaluation.
        result: The result of the run, or None if the run has not ended.
        directory: The folder of the run, if the history was loaded from one.
        torn: Whether the file ended with an incomplete line, which was dropped.
    """

    header: Header
    records: tuple[Record, ...] = ()
    result: Result | None = None
    directory: Path | None = field(default=None, compare=False)
    torn: bool = field(default=False, compare=False)

    @classmethod
    def load(cls, path: PathLike) -> History:
        """Load the history of a run, and its result if there is one.

        Args:
            path: The folder of the run, or a history file.

        Raises:
            StorageError: There is no history, it is damaged, or its last record differs from the result.
        """
        path = Path(path)
        if not path.is_dir():
            found = read_history(path)
            return cls(found.header, found.records, torn=found.torn)
        if not (path / HISTORY).exists():
            raise StorageError(f"{path}: contains no {HISTORY}; expected the folder of a run; check the path")
        found = read_history(path / HISTORY)
        result = Result.load(path / RESULT) if (path / RESULT).exists() else None
        history = cls(found.header, found.records, result, path, found.torn)
        if result is not None and result.is_last and result.final != history.final():
            raise damaged(str(path / HISTORY), ValueError(f"the last record differs from {RESULT}"))
        return history

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.header.name

    @property
    def label(self) -> str:
        """Label of the norm in tables and plots."""
        return self.header.label

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.header.seed

    @property
    def splits(self) -> tuple[str, ...]:
        """The evaluated splits."""
        return self.header.splits

    @property
    def steps(self) -> list[int]:
        """The steps of all records."""
        return [record.step for record in self.records]

    def accuracy(self, split: str) -> list[float | None]:
        """Return the accuracy on a split in each record, None where it is missing.

        Raises:
            SpecError: The split was not evaluated.
        """
        self._check(split)
        return [record.accuracy[split] for record in self.records]

    def loss(self, split: str) -> list[float | None]:
        """Return the loss on a split in each record, None where it is missing.

        Raises:
            SpecError: The split was not evaluated.
        """
        self._check(split)
        return [record.loss[split] for record in self.records]

    def final(self) -> dict[str, float | None]:
        """Return `<split>_accuracy` and `<split>_loss` of the last record; empty if there are no records."""
        return self.records[-1].measures() if self.records else {}

    def best(self) -> dict[str, dict[str, float | int | None]]:
        """Return per split the highest `accuracy` and the first `step` that reached it, None if all are missing."""
        return {split: self._best(split) for split in self.splits}

    def as_dict(self) -> dict[str, dict[str, list[float | None]]]:
        """Return the accuracies in the form `{"batch": {"train": [...], "test": [...]}}`."""
        return {self.label: {split: self.accuracy(split) for split in self.splits}}

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas data frame with one row per record.

        The columns are `step, epoch, examples, seconds`, `<split>_accuracy, <split>_loss` of each split, and `norm,
        seed, name`, so that frames of many runs can be concatenated. Missing values are NaN.
        """
        import pandas as pd  # noqa: PLC0415 - takes 0.2 s to import, and is only used here

        measured = [f"{split}_{what}" for split in self.splits for what in ("accuracy", "loss")]
        frame = pd.DataFrame(
            [record.as_dict() for record in self.records],
            columns=["step", "epoch", "examples", "seconds", *measured],
        )
        whole = dict.fromkeys(("step", "examples"), "int64")
        frame = frame.astype({**dict.fromkeys(("epoch", "seconds", *measured), "float64"), **whole})
        return frame.assign(norm=self.label, seed=self.seed, name=self.name)

    def same_as(self, other: History) -> bool:
        """Return whether two histories are equal to the last bit, except for their times."""
        return self.header == other.header and _timeless(self) == _timeless(other)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...

    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        """Return a record, or a tuple of records for a slice."""
        return self.records[index]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the records in order."""
        return iter(self.records)

    def __repr__(self) -> str:
        """Return one line with the run, its progress and its status."""
        parts = [self.name, self.label, f"seed {self.seed}", f"{len(self)} records"]
        if self.records:
            parts.append(f"step {self.records[-1].step}")
            parts += [f"{split} accuracy {_format_accuracy(self.records[-1].accuracy[split])}" for split in self.splits]
        if self.result is not None:
            parts.append(self.result.status)
        return f"History({', '.join(parts)})"

    def _check(self, split: str) -> None:
        if split not in self.splits:
            near = nearest(split, self.splits)
            hint = f"did you mean {near!r}?" if near else "add it to evaluation.splits and run again"
            known = ", ".join(self.splits)
            raise SpecError(f"{self.name}: split {split!r} was not evaluated; expected one of {known}; {hint}")

    def _best(self, split: str) -> dict[str, float | int | None]:
        pairs = zip(self.accuracy(split), self.steps)
        found = [(accuracy, -step) for accuracy, step in pairs if accuracy is not None]
        accuracy, step = max(found, default=(None, 0))
        return {"accuracy": accuracy, "step": None if accuracy is None else -step}


def _timeless(history: History) -> list[Mapping[str, Any]]:
    return [{**record.as_dict(), "seconds": None} for record in history.records]


def _format_accuracy(accuracy: float | None) -> str:
    return "missing" if accuracy is None else f"{accuracy:.4f}"
