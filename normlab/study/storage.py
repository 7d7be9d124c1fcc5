"""A study's own folder: what was asked, which runs answer it, and the study written out so that it can be repeated.

`study.json` names the runs relative to the folder; it is written anew each time and holds nothing that the run
directories and `study.yaml` could not give again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.errors import StorageError
from normlab.runs.files import read_json, safe_name, storage_errors, write_atomically, write_json
from normlab.runs.history import History
from normlab.study.design.arms import Arm, Question, Trial

if TYPE_CHECKING:
    from normlab.study.design.design import Design

STUDY = "study.json"
FILE = "study.yaml"
#: Where folders of studies are, beside those of runs.
STUDIES = "studies"
VERSION = 1
_DIGITS = 10
_QUESTION_TUPLES = ("scientific", "seeds", "tuning_seeds", "thresholds", "allowed")


class Study(NamedTuple):
    """A study that has run.

    Attributes:
        question: What it asked.
        arms: Its arms with their runs.
        pairing: Which draws the arms had in common, in words.
        warnings: What makes its result less sure.
        folder: Where it is stored.
    """

    question: Question
    arms: tuple[Arm, ...]
    pairing: str
    warnings: tuple[str, ...]
    folder: Path


def folder_of(design: Design, out: str | Path) -> Path:
    """The folder of a study: `<out>/studies/<name>-<identity>`."""
    return Path(out) / STUDIES / safe_name(f"{design.question.name}-{design.identity()[:_DIGITS]}")


def save(study: Study, design: Design) -> None:
    """Write `study.json` and `study.yaml`.

    Raises:
        StorageError: They can't be written.
    """
    with storage_errors(study.folder, "make this folder"):
        study.folder.mkdir(parents=True, exist_ok=True)
    from normlab.spec.values import to_yaml  # noqa: PLC0415 - costs 0.2 s, and reading a study needs none of it

    write_atomically(study.folder / FILE, to_yaml(as_file(design)))
    content = {
        "version": VERSION,
        "question": _question(study.question),
        "pairing": study.pairing,
        "warnings": list(study.warnings),
        "arms": [_arm(arm, study.folder) for arm in study.arms],
    }
    write_json(study.folder / STUDY, content)


def load(folder: str | Path) -> Study:
    """Read a study with all its runs.

    Raises:
        StorageError: It is no folder of a study, or something in it or of its runs is damaged or gone.
    """
    folder = Path(folder)
    content = read_json(folder / STUDY)
    try:
        if content["version"] > VERSION:
            raise StorageError(f"{folder / STUDY}: of a newer normlab; expected version {VERSION}; update normlab")
        question = Question(**{**content["question"], **_tuples(content["question"])})
        arms = tuple(_loaded(arm, folder) for arm in content["arms"])
        return Study(question, arms, str(content["pairing"]), tuple(content["warnings"]), folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__} {error}"
        raise StorageError(f"{folder / STUDY}: damaged ({what}); run the same `normlab compare` again") from error


def as_file(design: Design) -> dict[str, Any]:
    """The study as a study file that says everything: running it again finds every run of this one."""
    question = design.question
    data: dict[str, Any] = {"name": question.name, "description": question.description, "spec": design.base.dump()}
    data["arms"] = {arm.label: arm.plain() for arm in design.arms}
    if question.nuisance:
        data["nuisance"] = {key: list(values) for key, values in question.nuisance.items()}
        steps = {} if design.tuning_steps is None else {"steps": design.tuning_steps}
        data["tuning"] = {"repeats": question.repeats, "seeds": list(question.tuning_seeds), **steps}
    data["seeds"] = list(question.seeds)
    for name in ("baseline", "split", "margin", "level"):
        data[name] = getattr(question, name)
    data["thresholds"], data["allow"] = list(question.thresholds), list(question.allowed)
    return data


def _question(question: Question) -> dict[str, Any]:
    return {**asdict(question), "nuisance": {key: list(values) for key, values in question.nuisance.items()}}


def _tuples(question: Mapping[str, Any]) -> dict[str, Any]:
    nuisance = {key: tuple(values) for key, values in question["nuisance"].items()}
    return {"nuisance": nuisance, **{name: tuple(question[name]) for name in _QUESTION_TUPLES}}


def _arm(arm: Arm, folder: Path) -> dict[str, Any]:
    return {
        "label": arm.label,
        "settings": dict(arm.settings),
        "chosen": dict(arm.chosen),
        "runs": _relative(arm.runs, folder),
        "failures": {str(seed): message for seed, message in arm.failures.items()},
        "trials": [
            {
                "settings": dict(trial.settings),
                "score": trial.score,
                "repeat": trial.repeat,
                "runs": _relative(trial.runs, folder),
            }
            for trial in arm.trials
        ],
    }


def _loaded(arm: Mapping[str, Any], folder: Path) -> Arm:
    trials = [
        Trial(trial["settings"], _runs(trial["runs"], folder), trial["score"], trial.get("repeat", 0))
        for trial in arm["trials"]
    ]
    failures = {int(seed): str(message) for seed, message in arm["failures"].items()}
    return Arm(str(arm["label"]), arm["settings"], arm["chosen"], _runs(arm["runs"], folder), tuple(trials), failures)


def _relative(runs: Sequence[History], folder: Path) -> list[str]:
    return [Path(os.path.relpath(run.directory, folder)).as_posix() for run in runs if run.directory is not None]


def _runs(paths: Sequence[str], folder: Path) -> tuple[History, ...]:
    return tuple(History.load(Path(os.path.normpath(folder / path))) for path in paths)
