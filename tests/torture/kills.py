"""Point 2, first half: SIGKILL at random moments of a run that checkpoints often."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tally import Tally, joined
from trials import SPEC, dice, differences, gaps, normlab, spec_of

from normlab import experiment
from normlab.errors import StorageError
from normlab.runs.checkpoint import Generations
from normlab.runs.history import History
from normlab.runs.lock import locked

if TYPE_CHECKING:
    from pathlib import Path

#: Steps between checkpoints, steps between evaluations.
CHECKPOINT, EVALUATION = 7, 10
#: Runs within this process.
_one_at_a_time = threading.Lock()


class Storm:
    """A run that is killed again and again; when it ends nevertheless, the next one, of another seed.

    Args:
        folder: Where.
        name: Where the random moments come from.
        steps: Steps of a run.
    """

    def __init__(self, folder: Path, name: str, steps: int) -> None:
        self.folder, self.steps = folder / name, steps
        self.numbers = dice(name)
        self.folder.mkdir(parents=True)
        (self.folder / "small.yaml").write_text(SPEC)
        self.seed = 0
        self.kills = Tally("kills after which all that was stored is whole")
        self.ends = Tally("killed runs taken up to their end, equal to the bit, no gap, no duplicate")

    @property
    def settings(self) -> list[str]:
        return [
            *("optimizer={name: adam}", f"training.steps={self.steps}", f"evaluation.every={EVALUATION}"),
            *(f"training.checkpoint_every={CHECKPOINT}", f"seed={self.seed}"),
        ]

    def kill(self, times: int) -> Storm:
        """Start a run and kill it some time later, so many times."""
        while self.kills.tried < times:
            words = [word for setting in self.settings for word in ("-s", setting)]
            with normlab("run", "small.yaml", *words, cwd=self.folder) as run:
                if self.numbers.random() < 0.8:  # else it dies while it starts
                    run.stdout.readline()
                    time.sleep(self.numbers.uniform(0, 0.5))
                else:
                    time.sleep(self.numbers.uniform(0, 2.5))
                run.send_signal(signal.SIGKILL)
                told = run.stderr.read()
            if run.returncode == 0:
                self.end()
                continue
            wrong = self.faults() if run.returncode == -signal.SIGKILL else [f"ended with {run.returncode}"]
            self.kills.add(not (wrong or told), f"{wrong} {told}")
        self.end()
        return self

    def faults(self) -> list[str]:
        """What is wrong with what a killed process left."""
        path = next((self.folder / "runs").glob(f"small/batch-s{self.seed}-*"), None)
        if path is None:
            return []
        warnings: list[str] = []
        found = Generations(path / "checkpoint").newest(warnings.append)
        try:
            steps = History.load(path).steps if (path / "history.jsonl").exists() else []
        except StorageError as error:
            return [str(error)]
        wrong = [] if steps == list(range(EVALUATION, len(steps) * EVALUATION + 1, EVALUATION)) else [f"steps {steps}"]
        # evaluations are stored at once, so what is lost are the steps since the last checkpoint
        reached = found.step if found else 0
        if steps and steps[-1] - reached > CHECKPOINT:
            wrong.append(f"evaluated up to {steps[-1]}, stored up to {reached}")
        try:
            with locked(path):
                pass
        except StorageError as error:
            wrong.append(f"a dead process has the lock: {error}")
        return wrong + warnings

    def end(self) -> None:
        """Let the run end, and compare it with one that was never stopped."""
        with _one_at_a_time:
            whole = experiment.run(spec_of(*self.settings), out=self.folder / "whole")
            resumed = experiment.run(spec_of(*self.settings), out=self.folder / "runs")
        wrong = differences(whole, resumed) + gaps(resumed, EVALUATION, self.steps)
        left = [path for path in resumed.directory.rglob("*") if path.name.startswith(".")]
        self.ends.add(not (wrong or left), f"{wrong} {left}")
        self.seed += 1


def storm(folder: Path, kills: int, *, runs: int = 2, steps: int = 400) -> list[Tally]:
    """Some runs side by side, killed `kills` times in all."""
    storms = [Storm(folder, f"run-{number}", steps) for number in range(runs)]
    with ThreadPoolExecutor(runs) as pool:
        done = list(pool.map(lambda each: each.kill(kills // runs), storms))
    return [joined([each.kills for each in done]), joined([each.ends for each in done])]


def torture(folder: Path):
    yield from storm(folder, 100)
