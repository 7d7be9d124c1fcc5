"""Point 8: Ctrl-C and SIGTERM, once and twice, wherever the run is."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tally import Tally
from trials import SPEC, Watcher, dice, differences, normlab, spec_of

from normlab import experiment

if TYPE_CHECKING:
    from pathlib import Path

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
#: A network of which each step takes a good while, and an evaluation many seconds.
SLOW = (
    "dataset={name: synthetic, shape: [3, 32, 32], classes: 4, train: 4000, test: 100}",
    *("model={name: resnet, depth: 20}", "training={steps: 2000, batch_size: 64}", "evaluation.every=1000"),
)


def once(folder: Path, times: int, length: int = 3000) -> Tally:
    """At random moments: what was reached is stored, the command that goes on is told, and it does."""
    tally = Tally("runs stopped by Ctrl-C or SIGTERM within 5 s with 130 or 143, resumed equal to the bit")
    numbers = dice("signals")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    steps = [f"training.steps={length}", "evaluation.every=500"]
    words = [word for setting in steps for word in ("-s", setting)]
    whole = experiment.run(spec_of(*steps), out=folder / "whole")
    for at in range(times):
        number = numbers.choice(list(STATUS))
        with normlab("run", "small.yaml", *words, "--out", at, "--again", cwd=folder) as run:
            run.stdout.readline()
            time.sleep(numbers.uniform(0, 1))
            begun = time.monotonic()
            run.send_signal(number)
            told = run.communicate(timeout=60)[1]
        seconds = time.monotonic() - begun
        if run.returncode == 0:  # it was done before
            continue
        watcher = Watcher()
        found = differences(whole, experiment.run(spec_of(*steps), out=folder / str(at), observer=watcher))
        command = f"to go on: normlab run small.yaml {' '.join(words)} --out {at}"
        kept = run.returncode == STATUS[number] and told.splitlines()[-1] == command and seconds < 5
        kept = kept and f"interrupted after step {watcher.first_step} of {length}" in told
        tally.add(kept and not found, f"{number} {run.returncode} in {seconds:.1f} s, {told}, {found}")
    return tally


def slow(folder: Path, waits: tuple[float, ...]) -> Tally:
    """A network whose steps take long: MXNet must not be minutes ahead of what is done."""
    tally = Tally("slow runs stopped within 5 s, steps and evaluations")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    for at, (every, wait) in enumerate((every, wait) for every in (1000, 1) for wait in waits):
        settings = [*SLOW, f"evaluation.every={every}"]
        words = [word for setting in settings for word in ("-s", setting)]
        with normlab("run", "small.yaml", *words, "--out", at, cwd=folder) as run:
            run.stdout.readline()
            time.sleep(wait)
            begun = time.monotonic()
            run.send_signal(signal.SIGINT)
            told = run.communicate(timeout=120)[1]
        seconds = time.monotonic() - begun
        tally.add(run.returncode == 130 and seconds < 5, f"{run.returncode} in {seconds:.1f} s: {told}")
    return tally


def twice(folder: Path) -> Tally:
    """The second signal ends the process at once."""
    tally = Tally("second signals, at once")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    words = [word for setting in SLOW for word in ("-s", setting)]
    for number, status in STATUS.items():
        with normlab("run", "small.yaml", *words, "--out", number, cwd=folder) as run:
            run.stdout.readline()
            run.send_signal(number)
            time.sleep(0.05)
            begun = time.monotonic()
            run.send_signal(number)
            run.communicate(timeout=60)
        tally.add(run.returncode == status and time.monotonic() - begun < 2, f"{run.returncode}")
    return tally


def torture(folder: Path):
    yield once(folder / "once", 20)
    yield slow(folder / "slow", (1, 4, 8))
    yield twice(folder / "twice")
