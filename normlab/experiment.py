"""One run, end to end: a spec becomes parts, parts are trained, and a run directory holds what came out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.catalog import catalog
from normlab.environment import environment
from normlab.errors import DataError, SpecError
from normlab.history import HISTORY, Header, History, HistoryWriter, Record, Result
from normlab.observer import Observer, Plan
from normlab.parts import Parts, resolve
from normlab.run_directory import RunDirectory
from normlab.storage import write_atomically, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from normlab.datasets.base import Dataset
    from normlab.models.network import Network
    from normlab.spec import Spec
    from normlab.training.batches import Batches
    from normlab.training.evaluation import Evaluator
    from normlab.training.loop import Clock, Trainer

__all__ = ["Observer", "Plan", "run"]


def run(spec: Spec, *, out: str | Path = "runs", again: bool = False, observer: Observer | None = None) -> History:
    """Train what a spec says, and store the run.

    Args:
        spec: The experiment.
        out: Where run directories go.
        again: Train even if this very run is stored already.
        observer: Is told what happens.

    Returns:
        The run's history, with its result and directory.

    Raises:
        SpecError: A part is unknown, a parameter unfit, a device absent.
        PluginError: A plugin that the spec needs can't be used.
        DataError: The data are absent or damaged.
        StorageError: The run directory can't be written.
    """
    watcher = observer or Observer()
    known = catalog(spec.plugins)
    known.require_explicit()
    for warning in known.warnings:
        watcher.warned(warning)
    parts = resolve(spec, known)
    with ThreadPoolExecutor(1) as pool:  # reading and unpacking the data takes as long as MXNet takes to import
        loading = pool.submit(parts.dataset.entry.load, **parts.dataset.parameters)
        from normlab.training.devices import contexts  # noqa: PLC0415 - MXNet is imported while the data load

        devices = contexts(spec.device, watcher.warned)
        dataset = loading.result()
    kind = "+".join(context.device_type for context in devices)
    folder = RunDirectory(out, spec.name, parts.label, spec.seed, parts.identity(f"{kind} {dataset.digest}"))
    stored = None if again else folder.stored()
    if stored is not None:
        watcher.reused(stored)
        return stored
    return _Run(parts, dataset, devices, folder, watcher).history()


@dataclass
class _Run:
    """A run that is not stored yet."""

    parts: Parts
    dataset: Dataset
    devices: list[Any]
    folder: RunDirectory
    watcher: Observer
    started: float = field(default_factory=time.perf_counter)
    diverged: tuple[int, str] | None = None

    def history(self) -> History:
        """Build, train, store."""
        network, trainer, evaluator, batches = self._build()
        for note in network.notes:
            self.watcher.warned(note)
        self._open()
        with HistoryWriter(self.folder.path / HISTORY, self._header()) as writer:
            clock = self._train(network, trainer, evaluator, batches, writer)
            records = tuple(writer.records)
        history = History(self._header(), records, directory=self.folder.path)
        return self._store(history, network, trainer, clock)

    @property
    def steps(self) -> int:
        """Steps in all."""
        training = self.parts.spec.training
        if training.steps is not None:
            return training.steps
        assert training.epochs is not None  # noqa: S101 - a spec has one of the two
        return max(1, round(training.epochs * len(self.dataset.splits["train"]) / training.batch_size))

    def _build(self) -> tuple[Network, Trainer, Evaluator, Batches]:
        from normlab.training.assembly import assemble  # noqa: PLC0415 - needs MXNet, which specs are checked without

        spec = self.parts.spec
        self._check_sizes()
        for index, chosen in enumerate(self.parts.augmentation):
            with _told_at(spec, "augmentation", index):
                chosen.made().check(self.dataset)
        with _told_at(spec, "model"):
            return assemble(self.parts, self.dataset, self.devices, self.steps)

    def _check_sizes(self) -> None:
        spec = self.parts.spec
        missing = [split for split in spec.evaluation.splits if split not in self.dataset.splits]
        if missing:
            raise DataError(
                f"evaluation.splits: data set {self.dataset.name} has no {missing[0]} split; "
                f"it has {', '.join(self.dataset.splits)}"
            )
        size, examples = spec.training.batch_size, len(self.dataset.splits["train"])
        place = spec.document.place(("training", "batch_size"))
        if size % len(self.devices):
            raise SpecError(f"{place}: training.batch_size: {size} can't be shared by {len(self.devices)} devices")
        if size > examples:
            raise SpecError(f"{place}: training.batch_size: {size}; expected at most the {examples} training examples")

    def _header(self) -> Header:
        spec = self.parts.spec
        return Header(spec.name, self.parts.label, spec.seed, spec.evaluation.splits, self.folder.identity)

    def _open(self) -> None:
        spec, path = self.parts.spec, self.folder.path
        devices = tuple(str(device) for device in self.devices)
        self.folder.prepare()
        write_atomically(path / "spec.yaml", spec.to_yaml())
        entries = [self.parts.dataset, self.parts.model, *self.parts.norms]
        write_json(path / "environment.json", environment(devices, [chosen.entry.source for chosen in entries]))
        self.watcher.started(Plan(spec.name, self.parts.label, spec.seed, devices, path, 0, self.steps))

    def _train(
        self, network: Network, trainer: Trainer, evaluator: Evaluator, batches: Batches, writer: HistoryWriter
    ) -> Clock:
        from normlab.training.loop import train  # noqa: PLC0415 - needs MXNet, which specs are checked without

        spec = self.parts.spec

        def evaluate(step: int) -> bool:
            scores = {split: evaluator(split) for split in spec.evaluation.splits}
            bad = network.first_not_finite()
            if bad is not None or any(not score.is_finite for score in scores.values()):
                self.diverged = (step, bad or "loss")
            seen = step * batches.batch_size
            record = Record(
                step,
                seen / batches.examples,
                seen,
                time.perf_counter() - self.started,
                # a network of NaN would be scored as one that always says class 0
                {split: None if self.diverged else score.accuracy for split, score in scores.items()},
                {split: None if self.diverged else score.loss for split, score in scores.items()},
            )
            writer.append(record)
            self.watcher.evaluated(record)
            return self.diverged is None

        return train(
            trainer,
            first_step=0,
            steps=self.steps,
            every=spec.evaluation.every,
            evaluate=evaluate,
            stepped=self.watcher.stepped,
        )

    def _store(self, history: History, network: Network, trainer: Trainer, clock: Clock) -> History:
        from normlab.training import checkpoint  # noqa: PLC0415 - needs MXNet, which specs are checked without

        steps = history.steps[-1]
        checkpoint.save(self.folder.path / "checkpoint", network, steps)
        result = Result(
            status="diverged" if self.diverged else "completed",
            steps=steps,
            seconds=time.perf_counter() - self.started,
            training_seconds=clock.training,
            evaluation_seconds=clock.evaluation,
            final=history.final(),
            best=history.best(),
            parameters_digest=network.digest(),
            digests={
                "data": self.dataset.digest,
                "initialization": network.initialization_digest,
                **trainer.digests(steps),
            },
            message=_diverged_message(*self.diverged) if self.diverged else None,
            diverged_step=self.diverged[0] if self.diverged else None,
            diverged_layer=self.diverged[1] if self.diverged else None,
        )
        result.save(self.folder.path / "result.json")
        done = History.load(self.folder.path)
        self.watcher.finished(done)
        return done


def _diverged_message(step: int, where: str) -> str:
    return (
        f"diverged: {where} is not finite at step {step}; accuracies from there on are missing\n"
        "try a smaller optimizer.learning_rate"
    )


@contextmanager
def _told_at(spec: Spec, *path: str | int) -> Iterator[None]:
    """Name the place of a block in errors that come up when its part is built."""
    try:
        yield
    except SpecError as error:
        where = spec.document.resolve(path)
        raise SpecError(f"{spec.document.place(where)}: {'.'.join(map(str, where))}: {error}") from error
