"""Proof that arms are paired: for each seed the same data, shared initial weights, batches, augmentation, dropout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from normlab.runs.history import History
from normlab.spec.words import listed
from normlab.study.design.arms import Arm

#: What paired runs share, as `Result.digests` has it, in the words of the person.
WORDS = {
    "data": "data",
    "initialization": "init",
    "batches": "batches",
    "augmentation": "augmentation",
    "draws": "draws",
}
#: These depend on how many steps a run took.
_STEPWISE = ("batches", "augmentation", "draws")


class Difference(NamedTuple):
    """Something that the arms of one seed don't share.

    Attributes:
        what: One of `WORDS`.
        seed: The seed.
        groups: Labels of arms that agree with each other, the first group being that of the first arm.
        runs: A run of each group.
    """

    what: str
    seed: int
    groups: tuple[tuple[str, ...], ...]
    runs: tuple[History, ...]


def differences(arms: Sequence[Arm]) -> list[Difference]:
    """Everything that the arms of one seed don't share, seed by seed.

    Runs that stopped at different steps have seen different numbers of batches; these are compared among those that
    took the same number of steps.
    """
    found = []
    for seed, runs in _by_seed(arms).items():
        for what in WORDS:
            for comparable in _comparable(what, runs):
                groups = _groups(what, comparable)
                if len(groups) > 1:
                    members = tuple(tuple(label for label, _ in group) for group in groups)
                    found.append(Difference(what, seed, members, tuple(group[0][1] for group in groups)))
    return found


def pairing(arms: Sequence[Arm]) -> str:
    """`paired: init, batches, augmentation`, or exactly what differs between which arms, and why."""
    wrong = differences(arms)
    shared = [word for what, word in WORDS.items() if what != "data" and _recorded(what, arms)]
    broken = {difference.what for difference in wrong}
    kept = [word for what, word in WORDS.items() if word in shared and what not in broken]
    if not any(len(runs) > 1 for runs in _by_seed(arms).values()):
        return "not paired: no two arms have a run of the same seed"
    lines = [f"paired: {', '.join(kept)}"] if kept else []
    for what in WORDS:
        of_this = [difference for difference in wrong if difference.what == what]
        if of_this:
            lines.append(_told(what, of_this))
    return "\n".join([*lines, *_biases(arms)])


def _biases(arms: Sequence[Arm]) -> list[str]:
    """A line if some arms have biases in the place of a shift that the norms of others bring."""
    counts: dict[int, list[str]] = {}
    for arm in arms:
        results = [run.result for run in arm.runs if run.result is not None and "optional_biases" in run.result.network]
        if results:
            counts.setdefault(int(results[0].network["optional_biases"]), []).append(arm.label)
    if len(counts) < 2:  # noqa: PLR2004 - alike
        return []
    told = [f"{listed(labels, 'and')} {count}" for count, labels in sorted(counts.items(), reverse=True)]
    return [f"biases that stand where no norm brings a shift, beside what is paired: {', '.join(told)}"]


def _told(what: str, found: Sequence[Difference]) -> str:
    first = found[0]
    seeds = ", ".join(str(difference.seed) for difference in found)
    sides = " from ".join(listed(group, "and") for group in first.groups[:2])
    return f"not paired: {WORDS[what]} of {sides} (seed {seeds}): {_reason(first)}"


def _reason(difference: Difference) -> str:
    if difference.what == "data":
        return "the data sets are not the same"
    if difference.what == "draws":
        return _reason_of_draws(difference)
    if difference.what in _STEPWISE:
        return "the training examples came in another order or were changed otherwise; look at batch_size and data"
    ours, theirs = (_parameters(run) for run in difference.runs[:2])
    only = [name for name in ours if name not in theirs] + [name for name in theirs if name not in ours]
    shapes = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if shapes:
        return f"{listed(shapes[:4], 'and')} differ in shape"
    if only:
        return f"only one side has {listed(only[:4], 'and')}{' and more' if len(only) > 4 else ''}"  # noqa: PLR2004 - as many as were named
    return "the shared weights were drawn otherwise"


def _reason_of_draws(difference: Difference) -> str:
    if any(run.result is not None and "draws" not in run.result.digests for run in difference.runs[:2]):
        return "only one side tells of dropout: the other has none, or is of an older normlab"
    return "other dropout layers, or a norm that draws among them"


def _parameters(run: History) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the parameters that a run has stored, by structural name; empty if they can't be read."""
    from normlab.errors import NormlabError  # noqa: PLC0415
    from normlab.runs import checkpoint  # noqa: PLC0415 - numpy, only if something is wrong

    if run.directory is None:
        return {}
    try:
        return {name: value.shape for name, value in checkpoint.load(run.directory / "checkpoint").items()}
    except NormlabError:
        return {}


def _by_seed(arms: Iterable[Arm]) -> dict[int, list[tuple[str, History]]]:
    runs: dict[int, list[tuple[str, History]]] = {}
    for arm in arms:
        for run in arm.runs:
            if run.result is not None:
                runs.setdefault(run.seed, []).append((arm.label, run))
    return runs


def _comparable(what: str, runs: Sequence[tuple[str, History]]) -> list[list[tuple[str, History]]]:
    if what not in _STEPWISE:
        return [list(runs)]
    by_steps: dict[int, list[tuple[str, History]]] = {}
    for label, run in runs:
        assert run.result is not None  # noqa: S101 - only runs with results are here
        by_steps.setdefault(run.result.steps, []).append((label, run))
    return list(by_steps.values())


def _groups(what: str, runs: Sequence[tuple[str, History]]) -> list[list[tuple[str, History]]]:
    groups: dict[str | None, list[tuple[str, History]]] = {}
    for label, run in runs:
        assert run.result is not None  # noqa: S101 - only runs with results are here
        groups.setdefault(run.result.digests.get(what), []).append((label, run))
    return list(groups.values())


def _recorded(what: str, arms: Iterable[Arm]) -> bool:
    results = [run.result for arm in arms for run in arm.runs]
    return any(result is not None and what in result.digests for result in results)
