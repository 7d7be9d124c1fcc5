"""Arms of studies for tests of statistics and reports, without training."""

from __future__ import annotations

import math
import random

from normlab.runs.history import Header, History, HistoryWriter, Record, Result
from normlab.study.design.arms import Arm, Question, Trial

SPLITS = ("train", "test")


def run(label="batch", seed=0, final=0.9, *, steps=200, every=20, diverged_at=None, milliseconds=2.0, **result):
    """A run whose accuracy on test rises to `final`, 0.01 below that on train; 2 ms a step, 0.1 s an evaluation."""
    records = []
    for step in range(every, steps + 1, every):
        gone = diverged_at is not None and step >= diverged_at
        value = None if gone else final * (1 - math.exp(-5 * step / steps)) / (1 - math.exp(-5))
        scores = {"train": None if gone else value + 0.01, "test": value}
        seconds = step * milliseconds / 1000 + 0.1 * len(records)
        loss = dict.fromkeys(scores, None if gone else 0.5)
        records.append(Record(step, step / 100, step * 100, seconds, scores, loss))
        if gone:
            break
    history = History(Header("mnist_fair", label, seed, SPLITS, f"{seed:064x}"), tuple(records))
    taken = records[-1].step
    facts = {
        "status": "completed" if diverged_at is None else "diverged",
        "steps": taken,
        "seconds": records[-1].seconds,
        "training_seconds": taken * milliseconds / 1000,
        "evaluation_seconds": 0.1 * len(records),
        "final": history.final(),
        "best": history.best(),
        "parameters_digest": "c0ffee" * 10,
        **result,
    }
    if diverged_at is not None:
        facts.update(diverged_step=taken, diverged_layer="dense1.gamma")
    return History(history.header, history.records, Result(**facts))


def arm(label="batch", finals=(0.9, 0.91, 0.92), *, diverged=(), trials=(), chosen=None, **how):
    """An arm with a run for each final accuracy, its seeds from 0; those in `diverged` diverge at step 40."""
    runs = tuple(
        run(label, seed, final, diverged_at=40 if seed in diverged else None, **how)
        for seed, final in enumerate(finals)
    )
    return Arm(label, {"norm": {"name": label}}, chosen or {}, runs, tuple(trials))


def question(baseline="none", **changes):
    return Question("mnist_fair", baseline, **changes)


def trials(best=0.1, rates=(0.001, 0.01, 0.1, 1.0)):
    """Trials of which the highest rate diverges."""
    return [
        Trial(
            {"optimizer.learning_rate": rate}, (), None if rate == 1.0 else 0.95 - 0.02 * abs(math.log10(rate / best))
        )
        for rate in rates
    ]


def study(arms=4, seeds=5, *, labels=(), **how):
    """That many arms with noise of their own and noise of their seeds; the first is `none`."""
    draw = random.Random(7)  # noqa: S311 - numbers for tests
    of_seed = [draw.gauss(0, 0.002) for _ in range(seeds)]
    names = (labels or ("none", "batch", "layer", "group", "rms", "instance", "l2", "frn"))[:arms]
    return [
        arm(name, [0.95 + 0.004 * place + shift + draw.gauss(0, 0.001) for shift in of_seed], **how)
        for place, name in enumerate(names)
    ]


def stored(root, history, spec="norm: none\n", environment=None):
    """The run as a directory below `root`."""
    folder = root / history.name / f"{history.label}-s{history.seed}-0123456789"
    folder.mkdir(parents=True)
    with HistoryWriter(folder / "history.jsonl", history.header) as writer:
        for record in history:
            writer.append(record)
    history.result.save(folder / "result.json")
    (folder / "spec.yaml").write_text(spec)
    if environment is not None:
        (folder / "environment.json").write_text(environment)
    return History.load(folder)
