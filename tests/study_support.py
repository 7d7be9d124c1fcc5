"""A small spec, a study of it, and histories without training."""

from __future__ import annotations

import textwrap

from normlab.runs.history import HISTORY, RESULT, Header, History, HistoryWriter, Record, Result
from normlab.study.design.study_file import load_study
from normlab.study.execution.jobs import Watcher

SPEC = """\
name: small
dataset: {name: synthetic, shape: [1, 6, 6], classes: 4, train: 256, test: 100, validation: 50}
model: {name: mlp, hidden: [16, 16]}
norm: {name: batch, epsilon: 0.001}
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 30, batch_size: 32}
evaluation: {every: 10, splits: [train, test]}
device: cpu
"""

STUDY = """\
spec: small.yaml
scientific:
  norm: [none, batch]
seeds: 2
"""

TUNED = """\
spec: small.yaml
scientific:
  norm: [none, batch, {name: group, groups: 4}]
nuisance:
  optimizer.learning_rate: [0.01, 0.1, 1.0e+30]
seeds: 2
tuning: {repeats: 1, seeds: 2, steps: 10}
"""


def written(folder, study=STUDY, spec=SPEC, name="study.yaml"):
    """Write a spec and a study of it; gives the study's path."""
    (folder / "small.yaml").write_text(textwrap.dedent(spec), encoding="utf-8")
    path = folder / name
    path.write_text(textwrap.dedent(study), encoding="utf-8")
    return path


def design(folder, study=STUDY, spec=SPEC, **options):
    """The design of such a study."""
    return load_study(written(folder, study, spec), **options)


def history(
    label="none",
    seed=0,
    accuracy=0.9,
    *,
    split="test",
    steps=30,
    digests=None,
    network=None,
    directory=None,
    name="small",
):
    """A history without training; accuracy None makes it a diverged one."""
    diverged = accuracy is None
    record = Record(steps, 1.0, steps * 32, 1.0, {split: accuracy}, {split: None if diverged else 0.5})
    header = Header(name, label, seed, (split,), f"{label}{seed}")
    result = Result(
        status="diverged" if diverged else "completed",
        steps=steps,
        seconds=1.0,
        training_seconds=0.5,
        evaluation_seconds=0.25,
        final=record.measures(),
        best={split: {"accuracy": accuracy, "step": None if diverged else steps}},
        digests=digests or {"data": "d", "initialization": f"i{seed}", "batches": f"b{seed}"},
        diverged_step=steps if diverged else None,
        diverged_layer="dense0.weight" if diverged else None,
        network=network or {},
    )
    return History(header, (record,), result, directory)


class Recorder(Watcher):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def planned(self, arms, runs):
        self.told.append(("planned", tuple(arms), runs))

    def ended(self, label, job, history, *, trained):
        self.told.append(("ended", label, job.phase, job.seed, trained))

    def failed(self, label, job, message):
        self.told.append(("failed", label, job.seed, message))

    def waiting(self, label, job, message):
        self.told.append(("waiting", label, job.seed, message))

    def retried(self, label, job, message):
        self.told.append(("retried", label, job.seed, message))

    def chosen(self, label, trial):
        self.told.append(("chosen", label, dict(trial.settings)))

    def warned(self, message):
        self.told.append(("warned", message))

    def of(self, kind):
        return [entry[1:] for entry in self.told if entry[0] == kind]


def stored(root, label="none", seed=0, accuracy=0.9, *, name="small", finished=True, **keywords):
    """A run directory with history and result."""
    made = history(label, seed, accuracy, name=name, **keywords)
    folder = root / name / f"{label}-s{seed}"
    folder.mkdir(parents=True)
    with HistoryWriter(folder / HISTORY, made.header) as writer:
        for record in made.records:
            writer.append(record)
    if finished:
        made.result.save(folder / RESULT)
    return folder
