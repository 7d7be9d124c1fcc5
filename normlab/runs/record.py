"""The lines of a history as plain data: its header, and one record an evaluation.

A number that is not finite is *missing*: it is `None` here and `null` in JSON. A diverged network has no accuracy, and
must not look like one that guesses.
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
    """What all records of a history have in common; the first line of its file.

    Attributes:
        name: the spec's name, e.g. `mnist_bn`.
        label: the norm, as it is told in tables and plots, e.g. `batch`.
        seed: the run's seed.
        splits: the splits that are evaluated, in their order.
        spec: hash of the resolved spec.
        normlab: version of normlab that wrote the history.
    """

    name: str
    label: str
    seed: int
    splits: tuple[str, ...]
    spec: str
    normlab: str = __version__

    def as_dict(self) -> dict[str, Any]:
        """The first line of `history.jsonl`, without its checksum."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"format": FORMAT, "version": VERSION, **own, "splits": list(self.splits)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Header:
        """The header of such a line.

        Raises:
            ValueError: the line is another's, or of a newer format; says what is wrong.
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
        step: optimizer steps done, 0 before the first.
        epoch: passes over the training split done, in fractions.
        examples: training examples seen.
        seconds: since the run began, over all its starts, evaluations included.
        accuracy: per split, 0 to 1, or None where it is missing.
        loss: per split, or None where it is missing.
    """

    step: int
    epoch: float
    examples: int
    seconds: float
    accuracy: Mapping[str, float | None]
    loss: Mapping[str, float | None]

    def __post_init__(self) -> None:
        """Makes plain Python numbers of whatever numbers came.

        Raises:
            ValueError: the numbers can't be those of an evaluation.
        """
        if list(self.accuracy) != list(self.loss):
            raise ValueError(f"accuracy of {list(self.accuracy)} but loss of {list(self.loss)}")
        plain = {
            "step": _count(self.step),
            "epoch": _finite(self.epoch),
            "examples": _count(self.examples),
            "seconds": _finite(self.seconds),
            "accuracy": {split: finite_or_none(value) for split, value in self.accuracy.items()},
            "loss": {split: finite_or_none(value) for split, value in self.loss.items()},
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were evaluated."""
        return tuple(self.accuracy)

    def as_dict(self) -> dict[str, Any]:
        """Flat: `step, epoch, examples, seconds`, then `<split>_accuracy, <split>_loss` of each split."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "examples": self.examples,
            "seconds": self.seconds,
            **self.measures(),
        }

    def measures(self) -> dict[str, float | None]:
        """What was measured, flat: `<split>_accuracy, <split>_loss` of each split."""
        flat: dict[str, float | None] = {}
        for split in self.accuracy:
            flat[f"{split}_accuracy"] = self.accuracy[split]
            flat[f"{split}_loss"] = self.loss[split]
        return flat

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], splits: Iterable[str]) -> Record:
        """The record of a flat mapping.

        Raises:
            ValueError: a field is absent, unknown or no number; says which.
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


def _finite(value: SupportsFloat) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{number} is no time; expected a finite number of at least 0")
    return number


def _count(value: SupportsIndex) -> int:
    number = operator.index(value)
    if number < 0:
        raise ValueError(f"{number} is no count; expected an integer of at least 0")
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
    """How a run ended; written last, so that a run without it is unfinished.

    Attributes:
        status: `completed`, `diverged`, `failed` or `interrupted`.
        steps: optimizer steps done.
        seconds: of the whole run.
        training_seconds: of its steps.
        evaluation_seconds: of its evaluations.
        final: `<split>_accuracy` and `<split>_loss` of the last record, see `History.final`.
        best: per split the highest `accuracy` and its `step`, see `History.best`.
        parameters_digest: SHA-256 of the final parameters.
        digests: SHA-256 of what paired runs must share, by what it is: `data`, `initialization`,
            `batches`, `augmentation` if it moves pixels, `draws` if the network has dropout.
        message: for a person, why the run did not complete.
        diverged_step: the first step known to be bad.
        diverged_layer: the first layer known to be bad.
        network: what the network costs, in numbers: counts of parameters and operations, `peak_memory` in bytes.
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
        """Refuses a status that does not exist.

        Raises:
            ValueError: there is no such status.
        """
        if self.status not in _STATUSES:
            raise ValueError(f"status: {self.status!r}; expected one of {', '.join(_STATUSES)}")
        object.__setattr__(self, "final", {name: finite_or_none(value) for name, value in self.final.items()})

    @property
    def is_last(self) -> bool:
        """Whether nothing can follow: a failed or interrupted run may be taken up again, any other may not."""
        return self.status in ("completed", "diverged")

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the version of the format; `from_dict` reads it back."""
        return {"version": VERSION, **{item.name: getattr(self, item.name) for item in fields(self)}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """The result of such data.

        Raises:
            ValueError: a field is absent, unknown or ill-typed, or the format newer; says which.
        """
        check_version(data)
        data = {"network": {}, **data}  # the first results had none
        check_types(data, {"version": (int,), **_RESULT_TYPES})
        return cls(**{name: data[name] for name in _RESULT_TYPES})

    def save(self, path: PathLike) -> None:
        """Writes `result.json` atomically, with a checksum.

        Raises:
            StorageError: it can't be written.
        """
        data = self.as_dict()
        write_json(path, {**data, "sum": checksum(json.dumps(data))})

    @classmethod
    def load(cls, path: PathLike) -> Result:
        """Reads what `save` wrote.

        Raises:
            StorageError: it can't be read, is damaged, or is of a newer format.
        """
        data = read_json(path)
        try:
            return cls.from_dict(_unsealed(data))
        except (ValueError, OverflowError) as error:
            raise damaged(str(path), error) from error


def _unsealed(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("no mapping")  # noqa: TRY004 - the file is wrong, not a caller
    rest = {name: value for name, value in data.items() if name != "sum"}
    if data.get("sum") != checksum(json.dumps(rest)):
        raise ValueError("does not match its checksum")
    return rest
