"""Point 8: Ctrl-C and SIGTERM, once and twice, at any moment of a run."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tally import Tally
from trials import SPEC, Recorder, find_differences, normlab, random_numbers, spec_of

from normlab import experiment

if TYPE_CHECKING:
    from pathlib import Path

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
#: A network with slow steps, whose evaluation takes many seconds.
SLOW = (
    "dataset={name: synthetic, shape: [3, 32, 32], classes: 4, train: 4000, test: 100}",
    *("model={name: resnet, depth: 20}", "training={steps: 2000, batch_size: 64}", "evaluation.every=1000"),
)


def signal_once(folder: Path, times: int, length: int = 3000) -> Tally:
    """Stop runs at random moments: the progress is stored, the message has the command that resumes, and it works."""
    tally = Tally("runs stopped by Ctrl-C or SIGTERM: within 5 s, status 130 or 143, resumed bit-identical")
    numbers = random_numbers("signals")
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
            errors = run.communicate(timeout=60)[1]
        seconds = time.monotonic() - begun
        if run.returncode == 0:  # it completed before the signal
            continue
        recorder = Recorder()
        found = find_differences(whole, experiment.run(spec_of(*steps), out=folder / str(at), observer=recorder))
        command = f"to resume: normlab run small.yaml {' '.join(words)} --out {at}"
        kept = run.returncode == STATUS[number] and errors.splitlines()[-1] == command and seconds < 5
        kept = kept and f"interrupted after step {recorder.first_step} of {length}" in errors
        tally.add(kept and not found, f"{number} {run.returncode} in {seconds:.1f} s, {errors}, {found}")
    return tally


def signal_slow_runs(folder: Path, waits: tuple[float, ...]) -> Tally:
    """Stop a network with slow steps: the loop must not be far ahead of the device."""
    tally = Tally("slow runs: stopped within 5 s, in steps and in evaluations")
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
            errors = run.communicate(timeout=120)[1]
        seconds = time.monotonic() - begun
        tally.add(run.returncode == 130 and seconds < 5, f"{run.returncode} in {seconds:.1f} s: {errors}")
    return tally


def signal_twice(folder: Path) -> Tally:
    """Send a second signal: it ends the process at once."""
    tally = Tally("second signals: the process ends at once")
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
    yield signal_once(folder / "once", 20)
    yield signal_slow_runs(folder / "slow", (1, 4, 8))
    yield signal_twice(folder / "twice")
