"""Point 2, first half: SIGKILL at random moments of a run that stores many checkpoints."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tally import Tally, merge
from trials import SPEC, find_differences, find_gaps, normlab, random_numbers, spec_of

from normlab import experiment
from normlab.errors import StorageError
from normlab.runs.checkpoint import Generations
from normlab.runs.history import History
from normlab.runs.lock import locked

if TYPE_CHECKING:
    from pathlib import Path

#: Steps between checkpoints, steps between evaluations.
CHECKPOINT, EVALUATION = 7, 10
#: Held by the one run that trains in this process.
_one_at_a_time = threading.Lock()


class Storm:
    """Kills and resumes a run repeatedly; once the run ends, continues with one of another seed.

    Args:
        folder: The folder of all storms.
        name: Name of this storm's folder, and seed of its random moments.
        steps: Number of steps of a run.
    """

    def __init__(self, folder: Path, name: str, steps: int) -> None:
        self.folder, self.steps = folder / name, steps
        self.numbers = random_numbers(name)
        self.folder.mkdir(parents=True)
        (self.folder / "small.yaml").write_text(SPEC)
        self.seed = 0
        self.kills = Tally("kills: everything stored is intact")
        self.ends = Tally("killed runs resumed to their end: bit-identical, no gap, no duplicate")

    @property
    def settings(self) -> list[str]:
        return [
            *("optimizer={name: adam}", f"training.steps={self.steps}", f"evaluation.every={EVALUATION}"),
            *(f"training.checkpoint_every={CHECKPOINT}", f"seed={self.seed}"),
        ]

    def kill(self, times: int) -> Storm:
        """Start a run and kill it after a random time; repeat this `times` times."""
        while self.kills.tried < times:
            words = [word for setting in self.settings for word in ("-s", setting)]
            with normlab("run", "small.yaml", *words, cwd=self.folder) as run:
                if self.numbers.random() < 0.8:  # otherwise, kill it while it starts
                    run.stdout.readline()
                    time.sleep(self.numbers.uniform(0, 0.5))
                else:
                    time.sleep(self.numbers.uniform(0, 2.5))
                run.send_signal(signal.SIGKILL)
                errors = run.stderr.read()
            if run.returncode == 0:
                self.finish()
                continue
            wrong = self.find_faults() if run.returncode == -signal.SIGKILL else [f"ended with {run.returncode}"]
            self.kills.add(not (wrong or errors), f"{wrong} {errors}")
        self.finish()
        return self

    def find_faults(self) -> list[str]:
        """Return what is wrong with the files that a killed process left."""
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
        # evaluations are stored at once, so only the steps since the last checkpoint are lost
        reached = found.step if found else 0
        if steps and steps[-1] - reached > CHECKPOINT:
            wrong.append(f"evaluated up to {steps[-1]}, stored up to {reached}")
        try:
            with locked(path):
                pass
        except StorageError as error:
            wrong.append(f"a dead process holds the lock: {error}")
        return wrong + warnings

    def finish(self) -> None:
        """Resume the run to its end, and compare it with an uninterrupted run."""
        with _one_at_a_time:
            whole = experiment.run(spec_of(*self.settings), out=self.folder / "whole")
            resumed = experiment.run(spec_of(*self.settings), out=self.folder / "runs")
        wrong = find_differences(whole, resumed) + find_gaps(resumed, EVALUATION, self.steps)
        left = [path for path in resumed.directory.rglob("*") if path.name.startswith(".")]
        self.ends.add(not (wrong or left), f"{wrong} {left}")
        self.seed += 1


def run_storms(folder: Path, kills: int, *, runs: int = 2, steps: int = 400) -> list[Tally]:
    """Run several storms in parallel, with `kills` kills in total."""
    storms = [Storm(folder, f"run-{number}", steps) for number in range(runs)]
    with ThreadPoolExecutor(runs) as pool:
        done = list(pool.map(lambda each: each.kill(kills // runs), storms))
    return [merge([each.kills for each in done]), merge([each.ends for each in done])]


def torture(folder: Path):
    yield from run_storms(folder, 100)
