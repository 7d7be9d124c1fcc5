"""Histories for tests, written as by a run."""

from __future__ import annotations

import math

from normlab.runs.history import HISTORY, RESULT, Header, History, HistoryWriter, Record, Result

HEADER = Header("mnist_bn", "batch", 3, ("train", "test"), "9f86d081884c7d65", "0.1.0")


def record(step, accuracy=0.5, seconds=0.0):
    scores = {"train": accuracy, "test": None if accuracy is None else accuracy / 3}
    return Record(step, step / 550, step * 100, seconds, scores, scores)


def written(path, steps=(20, 40, 60, 80, 100)):
    with HistoryWriter(path, HEADER) as writer:
        for step in steps:
            writer.append(record(step, step / 1000))
    return path.read_bytes()


def finished(folder, status="completed", **changes):
    written(folder / HISTORY)
    history = History.load(folder)
    facts = {"steps": 100, "seconds": 3.5, "training_seconds": 2.0, "evaluation_seconds": 1.25, **changes}
    result = Result(status, **{"final": history.final(), "best": history.best(), **facts})
    result.save(folder / RESULT)
    return result


RISING = [0.97 - 0.14 * math.exp(-number / 9) for number in range(50)]


def curve(values=RISING, header=HEADER, every=20):
    """A history with these accuracies in the first split, and 0.01 less in each that follows."""
    records = []
    for number, value in enumerate(values, start=1):
        scores = {split: None if value is None else value - 0.01 * k for k, split in enumerate(header.splits)}
        records.append(Record(number * every, number / 10, number * 100, number, scores, scores))
    return History(header, tuple(records))
