"""How a run ended: `result.json`, written last, so that a run without it is unfinished."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from normlab.formats import NUMBER, VERSION, check_types, check_version, damaged, finite_or_none
from normlab.storage import checksum, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from normlab.storage import PathLike

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
