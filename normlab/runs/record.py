"""The data of a history: its header, one record per evaluation, and the result of the run.

Numbers that are not finite are *missing*: `None` in Python and `null` in JSON. A diverged network has no accuracy,
which is not the same as the accuracy of guessing.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, SupportsFloat, SupportsIndex, get_args

from normlab.runs.files import PathLike, checksum, read_json, write_json
from normlab.runs.format import NUMBER, VERSION, check_types, check_version, damaged, finite_or_none
from normlab.version import __version__

FORMAT = "normlab history"


@dataclass(frozen=True)
class Header:
    """The first line of a history file, which applies to all records.

    Attributes:
        name: Name of the spec, e.g. `mnist_bn`.
        label: Label of the norm in tables and plots, e.g. `batch`.
        seed: Seed of the run.
        splits: The evaluated splits, in order.
        spec: Hash of the resolved spec.
        normlab: Version of normlab that wrote the history.
    """

    name: str
    label: str
    seed: int
    splits: tuple[str, ...]
    spec: str
    normlab: str = __version__

    def as_dict(self) -> dict[str, Any]:
        """Return the first line of `history.jsonl` as plain data, without its checksum."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"format": FORMAT, "version": VERSION, **own, "splits": list(self.splits)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Header:
        """Return the header for the data of a first line.

        Raises:
            ValueError: The line is not the header of a history, or has a newer format.
        """
        if data.get("format") != FORMAT:
            raise ValueError("not the first line of a history")
        check_version(data)
        text = dict.fromkeys(("format", "name", "label", "spec", "normlab"), (str,))
        check_types(data, {**text, "version": (int,), "seed": (int,), "splits": (list,)})
        own = {item.name: data[item.name] for item in fields(cls)}
        return cls(**{**own, "splits": tuple(str(split) for split in data["splits"])})


@dataclass(frozen=True)
class Record:
    """One evaluation of a run.

    Attributes:
        step: Number of optimizer steps done, 0 before the first.
        epoch: Passes over the training split done, with fractions.
        examples: Number of training examples seen.
        seconds: Duration of the run so far, over all its starts, including evaluations.
        accuracy: Accuracy by split, 0 to 1, or None if it is missing.
        loss: Loss by split, or None if it is missing.
    """

    step: int
    epoch: float
    examples: int
    seconds: float
    accuracy: Mapping[str, float | None]
    loss: Mapping[str, float | None]

    def __post_init__(self) -> None:
        """Convert all numbers to plain Python numbers.

        Raises:
            ValueError: The numbers are not valid for an evaluation.
        """
        if list(self.accuracy) != list(self.loss):
            raise ValueError(f"accuracy of {list(self.accuracy)}, but loss of {list(self.loss)}")
        plain = {
            "step": _count(self.step),
            "epoch": _duration(self.epoch),
            "examples": _count(self.examples),
            "seconds": _duration(self.seconds),
            "accuracy": {split: finite_or_none(value) for split, value in self.accuracy.items()},
            "loss": {split: finite_or_none(value) for split, value in self.loss.items()},
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def splits(self) -> tuple[str, ...]:
        """The evaluated splits."""
        return tuple(self.accuracy)

    def as_dict(self) -> dict[str, Any]:
        """Return a flat dict: `step, epoch, examples, seconds`, then `<split>_accuracy, <split>_loss` of each split."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "examples": self.examples,
            "seconds": self.seconds,
            **self.measures(),
        }

    def measures(self) -> dict[str, float | None]:
        """Return the measured values as a flat dict: `<split>_accuracy, <split>_loss` of each split."""
        flat: dict[str, float | None] = {}
        for split in self.accuracy:
            flat[f"{split}_accuracy"] = self.accuracy[split]
            flat[f"{split}_loss"] = self.loss[split]
        return flat

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], splits: Iterable[str]) -> Record:
        """Return the record for a flat mapping.

        Raises:
            ValueError: A field is missing, unknown or not a number; the message names the field.
        """
        splits = tuple(splits)
        missing = (*NUMBER, type(None))
        measures = {f"{split}_{what}": missing for split in splits for what in ("accuracy", "loss")}
        check_types(data, {"step": (int,), "epoch": NUMBER, "examples": (int,), "seconds": NUMBER, **measures})
        return cls(
            step=data["step"],
            epoch=data["epoch"],
            examples=data["examples"],
            seconds=data["seconds"],
            accuracy={split: data[f"{split}_accuracy"] for split in splits},
            loss={split: data[f"{split}_loss"] for split in splits},
        )


def _duration(value: SupportsFloat) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{number} is not a duration; expected a finite number of at least 0")
    return number


def _count(value: SupportsIndex) -> int:
    number = operator.index(value)
    if number < 0:
        raise ValueError(f"{number} is not a count; expected an integer of at least 0")
    return number


Status = Literal["completed", "diverged", "failed", "interrupted"]
"""How a run ended."""

_STATUSES = get_args(Status)
_RESULT_TYPES: Mapping[str, tuple[type, ...]] = {
    "status": (str,),
    "steps": (int,),
    "seconds": NUMBER,
    "training_seconds": NUMBER,
    "evaluation_seconds": NUMBER,
    "final": (dict,),
    "best": (dict,),
    "parameters_digest": (str, type(None)),
    "digests": (dict,),
    "message": (str, type(None)),
    "diverged_step": (int, type(None)),
    "diverged_layer": (str, type(None)),
    "network": (dict,),
}


@dataclass(frozen=True)
class Result:
    """The result of a run. It is written last, so a run without a result is unfinished.

    Attributes:
        status: `completed`, `diverged`, `failed` or `interrupted`.
        steps: Number of optimizer steps done.
        seconds: Duration of the whole run.
        training_seconds: Time spent on steps.
        evaluation_seconds: Time spent on evaluations.
        final: `<split>_accuracy` and `<split>_loss` of the last record, see `History.final`.
        best: For each split, the highest `accuracy` and its `step`, see `History.best`.
        parameters_digest: SHA-256 of the final parameters.
        digests: SHA-256 of everything that paired runs must share: `data`, `initialization`, `batches`, `augmentation`
            if it moves pixels, and `draws` if the network has dropout.
        message: Why the run did not complete.
        diverged_step: The first step known to be bad.
        diverged_layer: The first layer known to be bad.
        network: Cost of the network: numbers of parameters and operations, and `peak_memory` in bytes.
    """

    status: Status
    steps: int
    seconds: float
    training_seconds: float
    evaluation_seconds: float
    final: Mapping[str, float | None]
    best: Mapping[str, Mapping[str, float | int | None]]
    parameters_digest: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    diverged_step: int | None = None
    diverged_layer: str | None = None
    network: Mapping[str, float | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the status, and replace final values that are not finite by None.

        Raises:
            ValueError: The status does not exist.
        """
        if self.status not in _STATUSES:
            raise ValueError(f"status: {self.status!r}; expected one of {', '.join(_STATUSES)}")
        object.__setattr__(self, "final", {name: finite_or_none(value) for name, value in self.final.items()})

    @property
    def is_last(self) -> bool:
        """Whether the result is final: only failed and interrupted runs can be resumed."""
        return self.status in ("completed", "diverged")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data with the version of the format, which `from_dict` reads."""
        return {"version": VERSION, **{item.name: getattr(self, item.name) for item in fields(self)}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Return the result for plain data.

        Raises:
            ValueError: A field is missing, unknown or has the wrong type, or the format is newer.
        """
        check_version(data)
        data = {"network": {}, **data}  # the first results did not have it
        check_types(data, {"version": (int,), **_RESULT_TYPES})
        return cls(**{name: data[name] for name in _RESULT_TYPES})

    def save(self, path: PathLike) -> None:
        """Write `result.json` atomically, with a checksum.

        Raises:
            StorageError: The file can't be written.
        """
        data = self.as_dict()
        write_json(path, {**data, "sum": checksum(json.dumps(data))})

    @classmethod
    def load(cls, path: PathLike) -> Result:
        """Read a result that `save` wrote.

        Raises:
            StorageError: The file can't be read, is damaged or has a newer format.
        """
        data = read_json(path)
        try:
            return cls.from_dict(_check_sum(data))
        except (ValueError, OverflowError) as error:
            raise damaged(str(path), error) from error


def _check_sum(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("not a mapping")  # noqa: TRY004 - the file is wrong, not the caller
    rest = {name: value for name, value in data.items() if name != "sum"}
    if data.get("sum") != checksum(json.dumps(rest)):
        raise ValueError("does not match its checksum")
    return rest
