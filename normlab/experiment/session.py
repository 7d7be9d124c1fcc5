"""One start of a run: trains from where the run stands, keeps what it reaches, and stops in good order when asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from normlab.backend.mxnet import mxnet
from normlab.experiment.observer import Observer
from normlab.experiment.stopping import Stop, Stopped
from normlab.models.network import Network
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.history import HistoryWriter, Record
from normlab.training.batches import Batches
from normlab.training.evaluation import Evaluator, Score
from normlab.training.loop import Trainer, train

if TYPE_CHECKING:
    from normlab.spec import Spec


#: Seconds of work that the device may be behind.
LAG = 0.5


class Pace:
    """Counts steps, and waits for them when they are about half a second's work.

    MXNet only queues what it is told; a loop that never waits would be minutes ahead of the steps that are done, and
    could not stop before them.
    """

    def __init__(self) -> None:
        self._steps = 1
        self.begin()

    def begin(self) -> None:
        """Count from here: the device has nothing to do."""
        self._left = self._steps
        self._since = time.perf_counter()

    def stepped(self) -> bool:
        """Count a step; says whether all that was asked for is done."""
        self._left -= 1
        if self._left:
            return False
        mxnet().nd.waitall()
        took = time.perf_counter() - self._since
        self._steps = max(1, min(2 * self._steps, int(self._steps * LAG / max(took, 1e-6))))
        self.begin()
        return True


Activity = Literal["other", "training", "evaluation"]


class Stopwatch:
    """Adds up the seconds of each activity; one goes on at a time.

    Args:
        training: Seconds of training that were spent before.
        evaluation: Seconds of evaluation that were spent before.
    """

    def __init__(self, training: float = 0.0, evaluation: float = 0.0) -> None:
        self._spent: dict[Activity, float] = {"other": 0.0, "training": training, "evaluation": evaluation}
        self._activity: Activity = "other"
        self._since = time.perf_counter()

    def turn(self, activity: Activity) -> Activity:
        """Go over to another activity; gives the one before."""
        now = time.perf_counter()
        self._spent[self._activity] += now - self._since
        before, self._activity, self._since = self._activity, activity, now
        return before

    def spent(self, activity: Activity) -> float:
        """Seconds so far."""
        self.turn(self._activity)
        return self._spent[activity]


#: Seconds between checkpoints where the spec leaves it to normlab, and the share of the time that they may take.
PAUSE, SHARE = 30.0, 0.02
#: Checkpoints that stay while a run trains: should one be damaged, there is the one before it.
KEPT = 2


@dataclass
class Session:
    """One start of a run.

    Attributes:
        spec: What is trained.
        steps: Steps in all.
        network: The network.
        trainer: Takes the steps.
        evaluator: Evaluates.
        batches: The order of examples.
        writer: Writes the history.
        generations: The run's checkpoints.
        watcher: Is told what happens.
        made_with: Versions and the like, for checkpoints.
        started: When the run began, had it never been stopped, by `time.perf_counter`.
        stop: Is asked after each step, and during evaluations.
        step: Steps taken.
        stopwatch: Seconds of training and evaluation, over all starts.
        diverged: The step at which something was not finite, and what.
    """

    spec: Spec
    steps: int
    network: Network
    trainer: Trainer
    evaluator: Evaluator
    batches: Batches
    writer: HistoryWriter
    generations: Generations
    watcher: Observer
    made_with: Mapping[str, str]
    started: float
    stop: Stop
    step: int = 0
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    diverged: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        """Count steps and seconds from here."""
        self._pace = Pace()
        self._saved = time.perf_counter()
        self._pause = PAUSE

    @property
    def seconds(self) -> float:
        """Seconds of the run, over all its starts."""
        return time.perf_counter() - self.started

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, to whose history the writer was brought back.

        Raises:
            CheckpointError: It is of another network or optimizer.
        """
        self.trainer.restore(checkpoint.parameters, checkpoint.optimizer, checkpoint.updates)
        self.step = checkpoint.step
        self.stopwatch = Stopwatch(checkpoint.training_seconds, checkpoint.evaluation_seconds)
        self.started -= checkpoint.seconds
        last = self.writer.records[-1] if self.writer.records else None
        if last is not None and last.step == self.step and None in last.accuracy.values():
            self.diverged = (self.step, self._not_finite() or "loss")

    def train(self) -> None:
        """Train to the end, or until something is not finite.

        Raises:
            Stopped: That was asked for; what was reached is stored.
            StorageError: The history or a checkpoint can't be written.
        """
        try:
            if self.diverged is None and (not self._is_due(self.step) or self._evaluate(self.step)):
                self.stopwatch.turn("training")
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
                self.save(keep=KEPT)
            raise
        finally:
            self.stopwatch.turn("other")

    def save(self, *, keep: int) -> None:
        """Store what the run has reached.

        Args:
            keep: How many checkpoints stay, this one included.

        Raises:
            StorageError: It can't be written.
        """
        begun = time.perf_counter()
        if not self.stop.number:  # whoever breaks off an evaluation does not wait for the rest of it
            mxnet().nd.waitall()
        # an array is waited for when it is read
        parameters = {name: p.list_data()[0].asnumpy() for name, p in self.network.parameters.items()}
        optimizer = self.trainer.optimizer_arrays()
        before = self.stopwatch.turn("other")
        checkpoint = Checkpoint(
            run=self.writer.header.spec,
            step=self.step,
            seconds=self.seconds,
            training_seconds=self.stopwatch.spent("training"),
            evaluation_seconds=self.stopwatch.spent("evaluation"),
            parameters=parameters,
            optimizer=optimizer,
            updates=self.trainer.optimizer_updates(),
            history=self.writer.content,
            made_with=self.made_with,
        )
        self.generations.save(checkpoint, keep=keep)
        self._saved = time.perf_counter()
        self._pause = max(PAUSE, (self._saved - begun) / SHARE)
        self.stopwatch.turn(before)

    def _stepped(self, step: int) -> None:
        self.step = step
        self.watcher.stepped(step)
        waited = self._pace.stepped()
        self.stop.check()
        # a step that is evaluated is stored afterwards
        if self._is_time_to_save(step, waited=waited) and not self._is_due(step):
            self.save(keep=KEPT)

    def _is_time_to_save(self, step: int, *, waited: bool) -> bool:
        every = self.spec.training.checkpoint_every
        if every is not None:
            return step % every == 0
        return waited and time.perf_counter() - self._saved >= self._pause

    def _is_due(self, step: int) -> bool:
        """Whether this step is to be evaluated, and is not yet."""
        last = self.writer.records[-1].step if self.writer.records else 0
        return step > last and (step % self.spec.evaluation.every == 0 or step == self.steps)

    def _evaluate(self, step: int) -> bool:
        self.stopwatch.turn("evaluation")
        with self.stop.at_once():
            scores = self.evaluator.evaluate(self.spec.evaluation.splits)
            self.diverged = self._verdict(step, scores)
        seen = step * self.batches.batch_size
        record = Record(
            step,
            seen / self.batches.examples,
            seen,
            self.seconds,
            # a network of NaN would be scored as one that always says class 0
            {split: None if self.diverged else score.accuracy for split, score in scores.items()},
            {split: None if self.diverged else score.loss for split, score in scores.items()},
        )
        self.writer.append(record)
        self.watcher.evaluated(record)
        # what is not finite is stored once, at the end
        if self.diverged is None and step < self.steps and self._is_time_to_save(step, waited=True):
            self.save(keep=KEPT)
        self.stopwatch.turn("training")
        self._pace.begin()
        return self.diverged is None

    def _verdict(self, step: int, scores: Mapping[str, Score]) -> tuple[int, str] | None:
        where = self._not_finite()
        if where is None and all(score.is_finite for score in scores.values()):
            return None
        return (step, where or "loss")

    def _not_finite(self) -> str | None:
        return self.network.first_not_finite() or self.trainer.first_not_finite()
