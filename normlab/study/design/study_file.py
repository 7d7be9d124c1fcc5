"""Build the design of a study from a study file, or from a spec and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from normlab.errors import SpecError
from normlab.spec import Document, Place, Spec, load_spec
from normlab.spec.node import Node
from normlab.spec.problems import problems
from normlab.spec.reader import read_text, spec_in_block
from normlab.spec.schema import name_of
from normlab.spec.values import in_line, plain
from normlab.spec.words import listed, nearest, shown
from normlab.study.design.arms import Question
from normlab.study.design.design import TRIAL_SPLIT, ArmDesign, Design, laid_over
from normlab.study.design.study_schema import MOST_POINTS, Range, StudyFile


def labels(key: str, values: Sequence[Any]) -> list[str]:
    """A label for each value of a scientific key: as short as keeps them apart.

    A part is its name, with its parameters if two have that name; any other value stands behind the last word of its
    key: `batch_size 64`.
    """
    short = [_short(value) for value in values]
    if all(short):
        return [name if short.count(name) == 1 else _long(value) for name, value in zip(map(str, short), values)]
    return [f"{key.rsplit('.', 1)[-1]} {in_line(value)}" for value in values]


def _short(value: Any) -> str | None:
    """The name of a part, or the names of several that act together; None for what is no part."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return str(value["name"]) if "name" in value else None
    if isinstance(value, (list, tuple)) and value and all(map(_short, value)):
        return "+".join(str(_short(item)) for item in value)
    return None


def _long(value: Any) -> str:
    if isinstance(value, dict):
        parameters = [f"{name}={in_line(item)}" for name, item in value.items() if name != "name"]
        return " ".join([str(value["name"]), *parameters])
    return "+".join(map(_long, value)) if isinstance(value, (list, tuple)) else str(value)


#: By any of these a file is told to be a study and no spec.
_MARKS = ("spec", "scientific", "arms", "nuisance")

#: Tuning seeds that are only counted begin here, so that they are none of the final ones.
FIRST_TUNING_SEED = 1_000_000
#: Tunings of each arm where the study leaves it to normlab.
REPEATS = 5

MOST_ARMS = 100
"""Arms of the largest study."""


def load_study(
    path: str | os.PathLike[str],
    options: Mapping[str, tuple[Any, Place]] | None = None,
    overrides: Sequence[str] = (),
    device: str | None = None,
    plugins: Sequence[str] = (),
) -> Design:
    """Read a study file, or make a study of a spec file.

    Args:
        path: The file; whether it is a study or a spec is seen by its keys.
        options: Settings of the command line, which win over the file's: by dotted key of a study file, the value
            and where it was written.
        overrides: Settings of the base spec, `key.key=value`.
        device: Wins over the base spec's device.
        plugins: Plugin files beside those of the base spec.

    Raises:
        SpecError: Something is wrong; the message has a line for each mistake.
    """
    named = os.fspath(path)
    document = Document.parse(read_text(Path(named), named), named)
    if not set(_MARKS) & set(document.data):
        place = document.root.place
        document = Document.of({"spec": Path(named).name}, named)
        if not options or not {"scientific", "arms"} & set(options):
            raise SpecError(
                f"{place}: a spec, so it doesn't say what to compare; expected --norms, or a study file; "
                "add e.g. --norms none,batch"
            )
    for key, (value, place) in (options or {}).items():
        document = document.with_value(tuple(key.split(".")), plain(value), place)
    return design_of(document, name_of(named), Path(named).parent, overrides, device, plugins)


def design_from(data: Mapping[str, Any], more: Mapping[str, Any], overrides: Sequence[str] = ()) -> Design:
    """The design of a study that is given as plain data.

    Args:
        data: What a study file would hold; files that it names are relative to the current folder.
        more: Further keys, which win.
        overrides: Settings of the base spec, `key.key=value`.

    Raises:
        SpecError: Something is wrong.
    """
    whole = {**data, **more}
    spec = whole.get("spec")
    name = name_of(spec) if isinstance(spec, str) else (spec or {}).get("name", "study")
    return design_of(Document.of(plain(whole), "study"), str(name), Path(), overrides)


def design_of(
    document: Document,
    name: str,
    folder: Path,
    overrides: Sequence[str] = (),
    device: str | None = None,
    plugins: Sequence[str] = (),
) -> Design:
    """The design that a document of settings describes.

    Args:
        document: The settings of a study file.
        name: What the study is called, if the document doesn't say.
        folder: The base spec's file is relative to this one.
        overrides: Settings of the base spec, `key.key=value`.
        device: Wins over the base spec's device.
        plugins: Plugin files beside those of the base spec.

    Raises:
        SpecError: Something is wrong.
    """
    try:
        settings = StudyFile.model_validate({"name": name, **document.data})
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, document, schema=StudyFile.model_json_schema()))) from None
    base = _base(document, settings, name, folder, overrides, device)
    if plugins:
        files = [*base.plugins, *(str(Path(file).absolute()) for file in plugins)]
        base = laid_over(base, {"plugins": Node.of(files, Place("--plugin"))})
    arms = _arms(document, settings)
    grid = _grid(document, settings)
    question = _question(document, settings, arms, grid)
    design = Design(question, base, arms, grid, settings.tuning.steps)
    _check(design, document)
    return design


def _base(
    document: Document, settings: StudyFile, name: str, folder: Path, overrides: Sequence[str], device: str | None
) -> Spec:
    if isinstance(settings.spec, str):
        file = folder / settings.spec
        if document.place(("spec",)).line is not None and not file.exists():
            # told with the line that names it
            raise SpecError(f"{document.place(('spec',))}: spec: no file {shown(str(file))}; expected a spec file")
        return load_spec(file, overrides, device=device)
    block = document.root.below("spec")
    assert block is not None  # noqa: S101 - the schema requires it
    return spec_in_block(block, name, folder, overrides, device=device)


def _arms(document: Document, settings: StudyFile) -> tuple[ArmDesign, ...]:
    if settings.arms:
        block = document.root.below("arms")
        assert block is not None  # noqa: S101 - the settings come from there
        return tuple(
            ArmDesign(label, {key: entry.node for key, entry in below.node.entries.items()})
            for label, below in block.entries.items()
        )
    block = document.root.below("scientific")
    assert block is not None  # noqa: S101 - the schema requires it
    axes = [_axis(key, entry.node) for key, entry in block.entries.items()]
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MOST_ARMS:
        raise SpecError(f"{block.place}: scientific: {count} arms; expected at most {MOST_ARMS}")
    return tuple(_joined(choice) for choice in product(*axes))


def _axis(key: str, node: Node) -> list[tuple[str, str, Node]]:
    """Label, key and value of each value of a scientific key."""
    if node.entries:
        return [(label, key, entry.node) for label, entry in node.entries.items()]
    told = labels(key, node.plain())
    return [(label, key, item) for label, item in zip(told, node.items)]


def _joined(choice: Sequence[tuple[str, str, Node]]) -> ArmDesign:
    return ArmDesign(", ".join(label for label, _, _ in choice), {key: node for _, key, node in choice})


def _grid(document: Document, settings: StudyFile) -> dict[str, tuple[Node, ...]]:
    grid: dict[str, tuple[Node, ...]] = {}
    for key, given in settings.nuisance.items():
        node = document.root.below("nuisance")
        below = node.below(key) if node else None
        assert below is not None  # noqa: S101 - the settings come from there
        if isinstance(given, Range):
            grid[key] = tuple(Node.of(value, below.place) for value in given.values())
        else:
            grid[key] = tuple(below.items)
    return grid


def _question(
    document: Document, settings: StudyFile, arms: Sequence[ArmDesign], grid: Mapping[str, Sequence[Node]]
) -> Question:
    seeds = tuple(range(settings.seeds)) if isinstance(settings.seeds, int) else settings.seeds
    return Question(
        name=settings.name,
        description=settings.description,
        baseline=_baseline(document, settings, arms),
        scientific=tuple(dict.fromkeys(key for arm in arms for key in arm.settings)),
        nuisance={key: tuple(node.plain() for node in nodes) for key, nodes in grid.items()},
        seeds=seeds,
        tuning_seeds=_tuning_seeds(document, settings, seeds) if grid else (),
        repeats=_repeats(document, settings, seeds) if grid else 1,
        split=settings.split,
        thresholds=tuple(sorted(settings.thresholds)),
        margin=settings.margin,
        level=settings.level,
        allowed=settings.allow,
    )


def _baseline(document: Document, settings: StudyFile, arms: Sequence[ArmDesign]) -> str:
    known = [arm.label for arm in arms]
    if settings.baseline is None:
        return "none" if "none" in known else known[0]
    if settings.baseline not in known:
        near = nearest(settings.baseline, known)
        advice = f"did you mean {shown(near)}?" if near else f"expected {listed(map(shown, known))}"
        raise SpecError(f"{document.place(('baseline',))}: baseline: no arm {shown(settings.baseline)}; {advice}")
    return settings.baseline


def _repeats(document: Document, settings: StudyFile, seeds: Sequence[int]) -> int:
    """Return how often each arm is tuned."""
    given, trials = settings.tuning.repeats, settings.tuning.seeds
    if given is None:
        shares = range(min(REPEATS, len(seeds)), 0, -1)
        return next(n for n in shares if isinstance(trials, int) or len(trials) % n == 0)
    place = document.place(("tuning", "repeats"))
    if given > len(seeds):
        raise SpecError(f"{place}: tuning.repeats: {given}; expected at most the {len(seeds)} final seeds")
    if not isinstance(trials, int) and len(trials) % given:
        raise SpecError(f"{place}: tuning.repeats: {given}; expected a divisor of the {len(trials)} tuning.seeds")
    return given


def _tuning_seeds(document: Document, settings: StudyFile, seeds: Sequence[int]) -> tuple[int, ...]:
    given = settings.tuning.seeds
    if isinstance(given, int):
        count = given * _repeats(document, settings, seeds)
        chosen = tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + count))
    else:
        chosen = given
    both = sorted(set(chosen) & set(seeds))
    if both:
        place = document.place(("tuning", "seeds") if not isinstance(given, int) else ("seeds",))
        raise SpecError(
            f"{place}: tuning.seeds: {both[0]} is a seed of the final runs too; expected others, "
            "so that what is chosen is not judged by the runs that chose it"
        )
    return chosen


def _check(design: Design, document: Document) -> None:
    """Refuse what would fail or mislead once it runs."""
    question = design.question
    place = document.place(("nuisance",))
    both = [key for key in question.nuisance if key in question.scientific]
    if both:
        raise SpecError(f"{place}: nuisance: {both[0]} is compared and tuned at once; expected one of the two")
    if len(design.points) > MOST_POINTS:
        raise SpecError(f"{place}: nuisance: {len(design.points)} trials an arm; expected at most {MOST_POINTS}")
    if question.nuisance and question.split == TRIAL_SPLIT:
        where = document.place(("split",))
        raise SpecError(f"{where}: split: arms are tuned on {TRIAL_SPLIT}; expected another to compare them on")
    if question.split not in design.base.evaluation.splits:
        raise SpecError(
            f"{document.place(('split',))}: split: {question.split} is not evaluated; "
            f"expected {listed(design.base.evaluation.splits)}; or add it to evaluation.splits"
        )
    _check_arms(design, document)


def _check_arms(design: Design, document: Document) -> None:
    seen: dict[str, str] = {}
    points = design.points or [{}]
    lines: dict[str, None] = {}
    for arm in design.arms:
        place = next((node.place for node in arm.settings.values()), document.root.place)
        try:
            content = laid_over(design.base, arm.settings).to_yaml()
            for point in points:
                design.final_spec(arm, point, 0)
        except SpecError as error:
            lines.update(dict.fromkeys(str(error).splitlines()))
            continue
        if content in seen:
            raise SpecError(f"{place}: {shown(arm.label)} is the same as {shown(seen[content])}; expected another arm")
        if arm.label in seen.values():
            raise SpecError(f"{place}: two arms are called {shown(arm.label)}; expected labels that differ")
        seen[content] = arm.label
    if lines:
        raise SpecError("\n".join(lines))
