"""Run one experiment from its spec to a complete run directory."""

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
from normlab.experiment.resume import find_checkpoint, fingerprint, open_history
from normlab.experiment.stopping import Stop, Stopped, accept_stop_requests
from normlab.runs.directory import CHECKPOINT, RunDirectory
from normlab.runs.environment import environment
from normlab.runs.files import write_atomically, write_json
from normlab.runs.history import HISTORY, RESULT, Header, History, Result, Status
from normlab.spec import Spec

if TYPE_CHECKING:  # load NumPy or MXNet
    from normlab.datasets.base import Dataset
    from normlab.experiment.session import Session
    from normlab.models.network import Network
    from normlab.training.batches import Batches
    from normlab.training.evaluation import Evaluator
    from normlab.training.loop import Trainer


def run(spec: Spec, *, out: str | Path = "runs", again: bool = False, observer: Observer | None = None) -> History:
    """Train the experiment that a spec describes, and store the run.

    A run that is already stored is returned without training. A run that was stopped is resumed from its newest
    checkpoint.

    Args:
        spec: The experiment.
        out: The folder of all run directories.
        again: Train from the beginning, even if the run is stored or can be resumed.
        observer: Receives progress and warnings.

    Returns:
        The run's history, with its result and directory.

    Raises:
        SpecError: A part is unknown, a parameter is invalid, or a device does not exist.
        PluginError: A plugin that the spec needs can't be used.
        DataError: The data are missing or damaged.
        StorageError: The run directory can't be written, or another process is training this run.
        CheckpointError: The checkpoint belongs to another network or optimizer.
        Interrupted: Ctrl-C or SIGTERM stopped the run; its progress is stored.
    """
    observer = observer or Observer()
    entries = catalog(spec.plugins)
    entries.require_explicit()
    for warning in entries.warnings:
        observer.warned(warning)
    spec = resolve(spec, entries)
    with ThreadPoolExecutor(1) as pool:  # loading the data takes about as long as importing MXNet
        loading = pool.submit(spec.dataset.entry.load, **spec.dataset.parameters)
        from normlab.backend.devices import resolve_devices  # noqa: PLC0415 - imports MXNet meanwhile

        devices = resolve_devices(spec.device, observer.warned)
        dataset = loading.result()
    folder = run_directory(spec, out, devices, dataset.digest)
    stored = None if again else folder.stored()
    if stored is not None:
        observer.reused(stored)
        return stored
    return _Run(spec, dataset, devices, folder, observer, again).execute()


@dataclass
class _Run:
    """A run that is not stored yet, or not to its end."""

    spec: Spec
    dataset: Dataset
    devices: list[Any]
    folder: RunDirectory
    observer: Observer
    again: bool
    started: float = field(default_factory=time.perf_counter)

    def execute(self) -> History:
        """Build, train and store the run."""
        built = self._build()
        for note in built[0].notes:
            self.observer.warned(note)
        with self.folder.claimed() as is_alone:
            if not is_alone:
                self.observer.warned(
                    f"{self.folder.path}: the file system has no locks; make sure that no other process trains this run"
                )
            # another process may have finished it in the meantime
            stored = None if self.again else self.folder.stored()
            if stored is not None:
                self.observer.reused(stored)
                return stored
            with accept_stop_requests() as stop, self._session(stop, *built) as session:
                return self._train(session)

    @property
    def steps(self) -> int:
        """Total number of steps."""
        training = self.spec.training
        if training.steps is not None:
            return training.steps
        assert training.epochs is not None  # noqa: S101 - a spec has steps or epochs
        return max(1, round(training.epochs * len(self.dataset.splits["train"]) / training.batch_size))

    def _build(self) -> tuple[Network, Trainer, Evaluator, Batches]:
        from normlab.experiment.assembly import assemble  # noqa: PLC0415 - imports MXNet

        self._check_sizes()
        for index, part in enumerate(self.spec.augmentation):
            with _locate_errors(self.spec, "augmentation", index):
                build(part).check(self.dataset)
        with _locate_errors(self.spec, "model"):
            return assemble(self.spec, self.dataset, self.devices, self.steps)

    def _check_sizes(self) -> None:
        spec = self.spec
        missing = [split for split in spec.evaluation.splits if split not in self.dataset.splits]
        if missing:
            raise DataError(
                f"evaluation.splits: data set {self.dataset.name} has no {missing[0]} split; "
                f"expected some of {', '.join(self.dataset.splits)}"
            )
        size, examples = spec.training.batch_size, len(self.dataset.splits["train"])
        place = spec.document.place(("training", "batch_size"))
        if size % len(self.devices):
            raise SpecError(
                f"{place}: training.batch_size: {size}; "
                f"expected a multiple of {len(self.devices)}, the number of devices"
            )
        if size > examples:
            raise SpecError(f"{place}: training.batch_size: {size}; expected at most the {examples} training examples")

    @contextmanager
    def _session(
        self, stop: Stop, network: Network, trainer: Trainer, evaluator: Evaluator, batches: Batches
    ) -> Iterator[Session]:
        """Prepare the run directory, and resume the run from a checkpoint in it."""
        from normlab.experiment.session import Session  # noqa: PLC0415 - imports MXNet
        from normlab.runs.checkpoint import Generations  # noqa: PLC0415 - loads NumPy

        spec, path, observer = self.spec, self.folder.path, self.observer
        devices = tuple(str(device) for device in self.devices)
        current = environment(devices, [part.entry.source._asdict() for part in catalog_parts(spec)])
        self.folder.prepare()
        checkpoints = Generations(path / CHECKPOINT)
        if self.again:
            checkpoints.clear()
        checkpoint = find_checkpoint(checkpoints, self.folder.identity, current, observer.warned)
        write_atomically(path / "spec.yaml", spec.to_yaml())
        write_json(path / "environment.json", current)
        header = Header(spec.name, spec.label, spec.seed, spec.evaluation.splits, self.folder.identity)
        with open_history(path / HISTORY, header, checkpoint, observer.warned) as writer:
            session = Session(
                spec=spec,
                steps=self.steps,
                network=network,
                trainer=trainer,
                evaluator=evaluator,
                batches=batches,
                writer=writer,
                checkpoints=checkpoints,
                observer=observer,
                environment=fingerprint(current),
                started=self.started,
                stop=stop,
            )
            if checkpoint is not None:
                session.resume(checkpoint)
            observer.started(Plan(spec.name, spec.label, spec.seed, devices, path, session.step, self.steps))
            yield session

    def _train(self, session: Session) -> History:
        try:
            session.train()
        except Stopped:
            self._describe(session, "interrupted").save(self.folder.path / RESULT)
            raise _interruption(session) from None
        except Exception as error:
            message = str(error) if isinstance(error, NormlabError) else f"unexpected {type(error).__name__}: {error}"
            with suppress(StorageError):  # a full disk may be the error that is reported
                replace(self._describe(session, "failed"), message=message).save(self.folder.path / RESULT)
            raise
        session.save(keep=1)
        self._result(session).save(self.folder.path / RESULT)
        history = History.load(self.folder.path)
        self.observer.finished(history)
        return history

    def _describe(self, session: Session, status: Status) -> Result:
        """Return the result without reading the network, which may be in the middle of an evaluation."""
        history = History(session.writer.header, tuple(session.writer.records))
        return Result(
            status=status,
            steps=session.step,
            seconds=session.seconds,
            training_seconds=session.stopwatch.seconds("training"),
            evaluation_seconds=session.stopwatch.seconds("evaluation"),
            final=history.final(),
            best=history.best(),
            digests={"data": self.dataset.digest, "initialization": session.network.initialization_digest},
        )

    def _result(self, session: Session) -> Result:
        from normlab.models.audit import audit  # noqa: PLC0415 - imports MXNet

        step, layer = session.diverged or (None, None)
        result = self._describe(session, "completed" if session.diverged is None else "diverged")
        return replace(
            result,
            parameters_digest=session.network.digest(),
            digests={**result.digests, **session.trainer.digests(session.step)},
            message=_describe_divergence(*session.diverged) if session.diverged else None,
            diverged_step=step,
            diverged_layer=layer,
            network={**audit(session.network, self.dataset.shape), "peak_memory": _peak_memory()},
        )


def _peak_memory() -> int:
    """Return the peak memory of the process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _interruption(session: Session) -> Interrupted:
    error = Interrupted(f"interrupted after step {session.step} of {session.steps}; progress is saved")
    error.status = ExitStatus.TERMINATED if session.stop.number == signal.SIGTERM else ExitStatus.INTERRUPTED
    return error


def _describe_divergence(step: int, where: str) -> str:
    return (
        f"diverged: {where} is not finite at step {step}; accuracies from this step on are missing\n"
        "try a smaller optimizer.learning_rate"
    )


@contextmanager
def _locate_errors(spec: Spec, *path: str | int) -> Iterator[None]:
    """Add the place of this key to each `SpecError` raised in the block."""
    try:
        yield
    except SpecError as error:
        where = spec.document.resolve(path)
        raise SpecError(f"{spec.document.place(where)}: {'.'.join(map(str, where))}: {error}") from error
