"""Train a run from its current step, store checkpoints, and stop between two steps on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from normlab.backend.mxnet import mxnet
from normlab.experiment.observer import Observer
from normlab.experiment.stopping import Stop, Stopped
from normlab.models.network import Network
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.history import HistoryWriter, Record
from normlab.spec import Spec
from normlab.training.batches import Batches
from normlab.training.evaluation import Evaluator, Score
from normlab.training.loop import Trainer, train

#: How far the device may be behind the training loop, in seconds.
LAG = 0.5


class Throttle:
    """Waits for the device after every half second of queued steps.

    MXNet runs operations asynchronously. A loop that never waits can be minutes ahead of the device, and can't stop
    before the device has caught up.
    """

    def __init__(self) -> None:
        self._steps = 1
        self.restart()

    def restart(self) -> None:
        """Start counting anew; call this when the device is idle."""
        self._left = self._steps
        self._since = time.perf_counter()

    def count_step(self) -> bool:
        """Count a step, and wait if enough are queued. Return whether it waited, so that the device is idle."""
        self._left -= 1
        if self._left:
            return False
        mxnet().nd.waitall()
        took = time.perf_counter() - self._since
        self._steps = max(1, min(2 * self._steps, int(self._steps * LAG / max(took, 1e-6))))
        self.restart()
        return True


Activity = Literal["other", "training", "evaluation"]


class Stopwatch:
    """Measures the seconds spent in each activity; there is one activity at a time.

    Args:
        training: Seconds of training in earlier sessions.
        evaluation: Seconds of evaluation in earlier sessions.
    """

    def __init__(self, training: float = 0.0, evaluation: float = 0.0) -> None:
        self._seconds: dict[Activity, float] = {"other": 0.0, "training": training, "evaluation": evaluation}
        self._activity: Activity = "other"
        self._since = time.perf_counter()

    def switch(self, activity: Activity) -> Activity:
        """Switch to another activity, and return the previous one."""
        now = time.perf_counter()
        self._seconds[self._activity] += now - self._since
        before, self._activity, self._since = self._activity, activity, now
        return before

    def seconds(self, activity: Activity) -> float:
        """Return the seconds spent in an activity so far."""
        self.switch(self._activity)
        return self._seconds[activity]


#: Shortest time between checkpoints in seconds, unless the spec sets `checkpoint_every`.
CHECKPOINT_INTERVAL = 30.0
#: Largest share of the time that storing these checkpoints may take.
CHECKPOINT_SHARE = 0.02
#: Checkpoints kept during training; if the newest is damaged, the one before it is used.
KEEP = 2


@dataclass
class Session:
    """The training of a run in this process, from its first step or from a checkpoint.

    Attributes:
        spec: The resolved spec.
        steps: Total number of steps.
        network: The network.
        trainer: Takes training steps.
        evaluator: Evaluates the network.
        batches: The order of examples.
        writer: Writes the history.
        checkpoints: The run's checkpoints.
        observer: Receives progress.
        environment: Versions, plugin hashes and processor, stored in checkpoints.
        started: The `time.perf_counter` at which the run would have started without interruption.
        stop: Checked after each step and during evaluations.
        step: Number of steps taken.
        stopwatch: Seconds of training and evaluation in all sessions of the run.
        diverged: The step at which a value was not finite, and the name of the value; None if there is none.
    """

    spec: Spec
    steps: int
    network: Network
    trainer: Trainer
    evaluator: Evaluator
    batches: Batches
    writer: HistoryWriter
    checkpoints: Generations
    observer: Observer
    environment: Mapping[str, str]
    started: float
    stop: Stop
    step: int = 0
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    diverged: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        """Start the throttle and the clock of checkpoints."""
        self._throttle = Throttle()
        self._saved = time.perf_counter()
        self._interval = CHECKPOINT_INTERVAL

    @property
    def seconds(self) -> float:
        """Seconds of the run, in all its sessions."""
        return time.perf_counter() - self.started

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a checkpoint; the writer must already hold the checkpoint's history.

        Raises:
            CheckpointError: The checkpoint belongs to another network or optimizer.
        """
        self.trainer.restore(checkpoint.parameters, checkpoint.optimizer, checkpoint.updates)
        self.step = checkpoint.step
        self.stopwatch = Stopwatch(checkpoint.training_seconds, checkpoint.evaluation_seconds)
        self.started -= checkpoint.seconds
        last = self.writer.records[-1] if self.writer.records else None
        if last is not None and last.step == self.step and None in last.accuracy.values():
            self.diverged = (self.step, self._first_not_finite() or "loss")

    def train(self) -> None:
        """Train to the last step, or until a value is not finite.

        Raises:
            Stopped: A stop was requested; the progress is stored.
            StorageError: The history or a checkpoint can't be written.
        """
        try:
            if self.diverged is None and (not self._is_due(self.step) or self._evaluate(self.step)):
                self.stopwatch.switch("training")
                train(
                    self.trainer,
                    first_step=self.step,
                    steps=self.steps,
                    every=self.spec.evaluation.every,
                    evaluate=self._evaluate,
                    stepped=self._stepped,
                )
        except Stopped:
            if self.step:
                self.save(keep=KEEP)
            raise
        finally:
            self.stopwatch.switch("other")

    def save(self, *, keep: int) -> None:
        """Store a checkpoint.

        Args:
            keep: Number of checkpoints to keep, including this one.

        Raises:
            StorageError: The checkpoint can't be written.
        """
        begun = time.perf_counter()
        if not self.stop.number:  # after an interrupted evaluation, do not wait for the rest of it
            mxnet().nd.waitall()
        # asnumpy() waits for each array
        parameters = {name: p.list_data()[0].asnumpy() for name, p in self.network.parameters.items()}
        optimizer = self.trainer.optimizer_arrays()
        before = self.stopwatch.switch("other")
        checkpoint = Checkpoint(
            run=self.writer.header.spec,
            step=self.step,
            seconds=self.seconds,
            training_seconds=self.stopwatch.seconds("training"),
            evaluation_seconds=self.stopwatch.seconds("evaluation"),
            parameters=parameters,
            optimizer=optimizer,
            updates=self.trainer.optimizer_updates(),
            history=self.writer.content,
            made_with=self.environment,
        )
        self.checkpoints.save(checkpoint, keep=keep)
        self._saved = time.perf_counter()
        self._interval = max(CHECKPOINT_INTERVAL, (self._saved - begun) / CHECKPOINT_SHARE)
        self.stopwatch.switch(before)

    def _stepped(self, step: int) -> None:
        self.step = step
        self.observer.stepped(step)
        waited = self._throttle.count_step()
        self.stop.check()
        # a step that is evaluated is stored after its evaluation
        if self._is_time_to_save(step, waited=waited) and not self._is_due(step):
            self.save(keep=KEEP)

    def _is_time_to_save(self, step: int, *, waited: bool) -> bool:
        every = self.spec.training.checkpoint_every
        if every is not None:
            return step % every == 0
        return waited and time.perf_counter() - self._saved >= self._interval

    def _is_due(self, step: int) -> bool:
        """Return whether this step has to be evaluated and has not been."""
        last = self.writer.records[-1].step if self.writer.records else 0
        return step > last and (step % self.spec.evaluation.every == 0 or step == self.steps)

    def _evaluate(self, step: int) -> bool:
        self.stopwatch.switch("evaluation")
        with self.stop.allow_interrupts():
            scores = self.evaluator.evaluate(self.spec.evaluation.splits)
            self.diverged = self._find_divergence(step, scores)
        seen = step * self.batches.batch_size
        record = Record(
            step,
            seen / self.batches.examples,
            seen,
            self.seconds,
            # argmax over NaN is class 0, which would give an accuracy
            {split: None if self.diverged else score.accuracy for split, score in scores.items()},
            {split: None if self.diverged else score.loss for split, score in scores.items()},
        )
        self.writer.append(record)
        self.observer.evaluated(record)
        # a diverged run is stored once, at its end
        if self.diverged is None and step < self.steps and self._is_time_to_save(step, waited=True):
            self.save(keep=KEEP)
        self.stopwatch.switch("training")
        self._throttle.restart()
        return self.diverged is None

    def _find_divergence(self, step: int, scores: Mapping[str, Score]) -> tuple[int, str] | None:
        where = self._first_not_finite()
        if where is None and all(score.is_finite for score in scores.values()):
            return None
        return (step, where or "loss")

    def _first_not_finite(self) -> str | None:
        return self.network.first_not_finite() or self.trainer.first_not_finite()
