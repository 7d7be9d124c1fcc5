"""What the peers of the main job share, and nothing of any framework: the clock, the options, the data, the result."""

# ruff: noqa: E402 - the clock is read before anything else is imported
from __future__ import annotations

import time

IMPORTED = time.monotonic()  # where /proc is missing, a program's time begins here

import argparse
import gzip
import json
import os
import resource
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 1000
EVALUATE_EVERY = 20
BATCH_SIZE = 100
VALIDATION = 5000
SIZES = (784, 100, 100, 10)
SIGMA = 0.1  # of the normal distribution before it is cut at two standard deviations
EPSILON = 1e-3
MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
LEARNING_RATE = {"bn": 0.01, "none": 0.00001}


class Arrays(NamedTuple):
    """One split: images float32 (N, 784) in [0, 1] and labels int32 (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass
class Stopwatch:
    """Seconds spent in training and in evaluation, and the accuracies found."""

    seconds: dict[str, float] = field(default_factory=lambda: {"training": 0.0, "evaluation": 0.0})
    started: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Add the time of the block to the seconds of ``what``; the first block ends the start-up."""
        start = time.monotonic()
        self.started = start if self.started is None else self.started
        yield
        self.seconds[what] += time.monotonic() - start

    def record(self, step: int, train: float, test: float) -> None:
        """Keep the accuracies of one evaluation, each in [0, 1]."""
        self.history.append({"step": step, "train_accuracy": float(train), "test_accuracy": float(test)})


def options(description: str) -> argparse.Namespace:
    """Parse the options that every peer has: ``--data --seed --variant --json``."""
    parser = argparse.ArgumentParser(description=description.split("\n", 1)[0])
    data = Path(__file__).resolve().parents[2] / "normlab" / "data" / "mnist"
    parser.add_argument("--data", type=Path, default=data, help="folder with the four MNIST files, *.gz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=sorted(LEARNING_RATE), default="bn")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


def mnist(folder: Path) -> tuple[Arrays, Arrays]:
    """Read the 55,000 training images left after the first 5,000, and the 10,000 test images."""
    images, labels = _idx(folder, "train-images-idx3", 16), _idx(folder, "train-labels-idx1", 8)
    train = Arrays(_pixels(images.reshape(-1, 784)[VALIDATION:]), labels[VALIDATION:].astype(np.int32))
    images, labels = _idx(folder, "t10k-images-idx3", 16), _idx(folder, "t10k-labels-idx1", 8)
    return train, Arrays(_pixels(images.reshape(-1, 784)), labels.astype(np.int32))


def report(watch: Stopwatch, framework: str, arguments: argparse.Namespace) -> None:
    """Print the result: a JSON object with ``--json``, else a line an evaluation and a line of times."""
    result = {
        "framework": framework,
        "python": sys.version.split()[0],
        "variant": arguments.variant,
        "seed": arguments.seed,
        "seconds": time.monotonic() - _process_start(),
        "startup_seconds": (watch.started or IMPORTED) - _process_start(),
        "training_seconds": watch.seconds["training"],
        "evaluation_seconds": watch.seconds["evaluation"],
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MEMORY_UNIT,
        "history": watch.history,
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for record in watch.history:
        print("Step {step}, train accuracy {train_accuracy:.4f}, test accuracy {test_accuracy:.4f}".format(**record))
    print(
        f"{framework}: {result['seconds']:.2f} s, of which start-up {result['startup_seconds']:.2f}, "
        f"training {result['training_seconds']:.2f}, evaluation {result['evaluation_seconds']:.2f}; "
        f"peak memory {result['peak_memory_bytes'] / 1e6:.0f} MB"
    )


def _idx(folder: Path, name: str, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes()), np.uint8, offset=header)


def _pixels(images: np.ndarray) -> np.ndarray:
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32)


def _process_start() -> float:
    """Return when this process began, on the clock of time.monotonic (Linux; else when this module was imported)."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return IMPORTED
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age
