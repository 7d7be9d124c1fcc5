"""One run, end to end: a spec becomes parts, parts are trained, and a run directory holds what came out."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.catalog import catalog
from normlab.catalog.signature import build
from normlab.errors import DataError, ExitStatus, Interrupted, NormlabError, SpecError, StorageError
from normlab.experiment.observer import Observer, Plan
from normlab.experiment.parts import catalog_parts, resolve, run_directory
from normlab.experiment.resume import made_with, resumable, take_up
from normlab.experiment.stopping import Stop, Stopped, stoppable
from normlab.runs.directory import CHECKPOINT, RunDirectory
from normlab.runs.environment import environment
from normlab.runs.files import write_atomically, write_json
from normlab.runs.history import HISTORY, RESULT, Header, History, Result, Status

if TYPE_CHECKING:
    from normlab.datasets.base import Dataset
    from normlab.experiment.session import Session
    from normlab.models.network import Network
    from normlab.spec import Spec
    from normlab.training.batches import Batches
    from normlab.training.evaluation import Evaluator
    from normlab.training.loop import Trainer

__all__ = ["Observer", "Plan", "run"]


def run(spec: Spec, *, out: str | Path = "runs", again: bool = False, observer: Observer | None = None) -> History:
    """Train what a spec says, and store the run; one that was stopped goes on from its newest checkpoint.

    Args:
        spec: The experiment.
        out: Where run directories go.
        again: Train from the start, even if this very run is stored already, wholly or in part.
        observer: Is told what happens.

    Returns:
        The run's history, with its result and directory.

    Raises:
        SpecError: A part is unknown, a parameter unfit, a device absent.
        PluginError: A plugin that the spec needs can't be used.
        DataError: The data are absent or damaged.
        StorageError: The run directory can't be written, or another process trains this run.
        CheckpointError: The run's checkpoint is of another network or optimizer.
        Interrupted: Ctrl-C or SIGTERM stopped it; what was reached is stored.
    """
    watcher = observer or Observer()
    known = catalog(spec.plugins)
    known.require_explicit()
    for warning in known.warnings:
        watcher.warned(warning)
    spec = resolve(spec, known)
    with ThreadPoolExecutor(1) as pool:  # reading and unpacking the data takes as long as MXNet takes to import
        loading = pool.submit(spec.dataset.entry.load, **spec.dataset.parameters)
        from normlab.backend.devices import resolve_devices  # noqa: PLC0415 - MXNet is imported while the data load

        devices = resolve_devices(spec.device, watcher.warned)
        dataset = loading.result()
    folder = run_directory(spec, out, devices, dataset.digest)
    stored = None if again else folder.stored()
    if stored is not None:
        watcher.reused(stored)
        return stored
    return _Run(spec, dataset, devices, folder, watcher, again).history()


@dataclass
class _Run:
    """A run that is not stored yet."""

    spec: Spec
    dataset: Dataset
    devices: list[Any]
    folder: RunDirectory
    watcher: Observer
    again: bool
    started: float = field(default_factory=time.perf_counter)

    def history(self) -> History:
        """Build, train, store."""
        built = self._build()
        for note in built[0].notes:
            self.watcher.warned(note)
        with self.folder.claimed() as is_alone:
            if not is_alone:
                self.watcher.warned(f"{self.folder.path}: no locks here: see that no other process trains this run")
            # another process may have ended it meanwhile
            stored = None if self.again else self.folder.stored()
            if stored is not None:
                self.watcher.reused(stored)
                return stored
            with stoppable() as stop, self._session(stop, *built) as session:
                return self._trained(session)

    @property
    def steps(self) -> int:
        """Steps in all."""
        training = self.spec.training
        if training.steps is not None:
            return training.steps
        assert training.epochs is not None  # noqa: S101 - a spec has one of the two
        return max(1, round(training.epochs * len(self.dataset.splits["train"]) / training.batch_size))

    def _build(self) -> tuple[Network, Trainer, Evaluator, Batches]:
        from normlab.experiment.assembly import assemble  # noqa: PLC0415 - needs MXNet, which specs are checked without

        self._check_sizes()
        for index, part in enumerate(self.spec.augmentation):
            with _placed(self.spec, "augmentation", index):
                build(part).check(self.dataset)
        with _placed(self.spec, "model"):
            return assemble(self.spec, self.dataset, self.devices, self.steps)

    def _check_sizes(self) -> None:
        spec = self.spec
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

    @contextmanager
    def _session(
        self, stop: Stop, network: Network, trainer: Trainer, evaluator: Evaluator, batches: Batches
    ) -> Iterator[Session]:
        """Open the run directory, and take up what is in it."""
        from normlab.experiment.session import Session  # noqa: PLC0415 - needs MXNet, which specs are checked without
        from normlab.runs.checkpoint import Generations  # noqa: PLC0415 - loads numpy

        spec, path, watcher = self.spec, self.folder.path, self.watcher
        devices = tuple(str(device) for device in self.devices)
        surroundings = environment(devices, [part.entry.source._asdict() for part in catalog_parts(spec)])
        self.folder.prepare()
        generations = Generations(path / CHECKPOINT)
        if self.again:
            generations.clear()
        checkpoint = resumable(generations, self.folder.identity, surroundings, watcher.warned)
        write_atomically(path / "spec.yaml", spec.to_yaml())
        write_json(path / "environment.json", surroundings)
        header = Header(spec.name, spec.label, spec.seed, spec.evaluation.splits, self.folder.identity)
        with take_up(path / HISTORY, header, checkpoint, watcher.warned) as writer:
            session = Session(
                spec=spec,
                steps=self.steps,
                network=network,
                trainer=trainer,
                evaluator=evaluator,
                batches=batches,
                writer=writer,
                generations=generations,
                watcher=watcher,
                made_with=made_with(surroundings),
                started=self.started,
                stop=stop,
            )
            if checkpoint is not None:
                session.resume(checkpoint)
            watcher.started(Plan(spec.name, spec.label, spec.seed, devices, path, session.step, self.steps))
            yield session

    def _trained(self, session: Session) -> History:
        try:
            session.train()
        except Stopped:
            self._told(session, "interrupted").save(self.folder.path / RESULT)
            raise _interrupted(session) from None
        except Exception as error:
            message = str(error) if isinstance(error, NormlabError) else f"unexpected {type(error).__name__}: {error}"
            with suppress(StorageError):  # the disk may be what failed
                replace(self._told(session, "failed"), message=message).save(self.folder.path / RESULT)
            raise
        session.save(keep=1)
        self._result(session).save(self.folder.path / RESULT)
        done = History.load(self.folder.path)
        self.watcher.finished(done)
        return done

    def _told(self, session: Session, status: Status) -> Result:
        """A result with what is known without looking at the network, which may be busy with an evaluation."""
        history = History(session.writer.header, tuple(session.writer.records))
        return Result(
            status=status,
            steps=session.step,
            seconds=session.seconds,
            training_seconds=session.stopwatch.spent("training"),
            evaluation_seconds=session.stopwatch.spent("evaluation"),
            final=history.final(),
            best=history.best(),
            digests={"data": self.dataset.digest, "initialization": session.network.initialization_digest},
        )

    def _result(self, session: Session) -> Result:
        from normlab.models.audit import audit  # noqa: PLC0415 - needs MXNet, which specs are checked without

        step, layer = session.diverged or (None, None)
        told = self._told(session, "completed" if session.diverged is None else "diverged")
        return replace(
            told,
            parameters_digest=session.network.digest(),
            digests={**told.digests, **session.trainer.digests(session.step)},
            message=_diverged_message(*session.diverged) if session.diverged else None,
            diverged_step=step,
            diverged_layer=layer,
            network={**audit(session.network, self.dataset.shape), "peak_memory": _peak_memory()},
        )


def _peak_memory() -> int:
    """Bytes that the process held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _interrupted(session: Session) -> Interrupted:
    error = Interrupted(f"interrupted after step {session.step} of {session.steps}; it is stored, nothing is lost")
    error.status = ExitStatus.TERMINATED if session.stop.number == signal.SIGTERM else ExitStatus.INTERRUPTED
    return error


def _diverged_message(step: int, where: str) -> str:
    return (
        f"diverged: {where} is not finite at step {step}; accuracies from there on are missing\n"
        "try a smaller optimizer.learning_rate"
    )


@contextmanager
def _placed(spec: Spec, *path: str | int) -> Iterator[None]:
    """Name the place of a block in errors that come up when its part is built."""
    try:
        yield
    except SpecError as error:
        where = spec.document.resolve(path)
        raise SpecError(f"{spec.document.place(where)}: {'.'.join(map(str, where))}: {error}") from error
