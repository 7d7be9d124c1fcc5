"""The lines of a history as plain data: its header, and one record an evaluation.

A number that is not finite is *missing*: it is `None` here and `null` in JSON. A diverged network has no accuracy, and
must not look like one that guesses.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

from normlab.formats import NUMBER, VERSION, check_types, check_version, finite_or_none
from normlab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
