"""Point 4: flipped bits and files cut short, in checkpoints, histories, results and data: all found, none loaded."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from datasets_support import gzips, tiny, write
from tally import Tally
from trials import Killed, Watcher, dice, differences, identical, spec_of

from normlab import experiment
from normlab.datasets import checksums, payload
from normlab.errors import NormlabError
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.history import History

if TYPE_CHECKING:
    from pathlib import Path

OFTEN = ("optimizer={name: adam}", "training={steps: 12, batch_size: 16, checkpoint_every: 3}")


def damaged(content: bytes, numbers, *, cut: bool) -> bytes:
    """The content with one bit flipped, or cut short."""
    if cut:
        return content[: numbers.randrange(len(content))]
    changed = bytearray(content)
    changed[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
    return bytes(changed)


def stopped(folder: Path) -> Path:
    """A run that died, with two checkpoints; gives its directory."""
    with suppress(Killed):
        experiment.run(spec_of(*OFTEN), out=folder, observer=Watcher(11))
    (path,) = folder.glob("small/*")
    assert [each.name for each in Generations(path / "checkpoint").paths()] == ["000002", "000003"]
    return path


def same_checkpoint(one: Checkpoint, other: Checkpoint) -> bool:
    arrays = all(
        list(getattr(one, what)) == list(getattr(other, what))
        and all(identical(array, getattr(other, what)[name]) for name, array in getattr(one, what).items())
        for what in ("parameters", "optimizer")
    )
    facts = ("run", "step", "updates", "history", "made_with", "seconds")
    return arrays and all(getattr(one, name) == getattr(other, name) for name in facts)


def checkpoints(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage to the newest of two checkpoints: found, and the one before it is taken, with a warning."""
    what = "cut" if cut else "with a flipped bit"
    tally = Tally(f"checkpoints {what}, found and passed over with a warning")
    numbers = dice(f"checkpoint {what}")
    run = stopped(folder)
    generations = Generations(run / "checkpoint")
    before = Checkpoint.load(generations.paths()[0])
    files = [path for path in generations.paths()[1].iterdir() if path.is_file()]
    for _ in range(times):
        # as likely as it is long, and each file at least now and then
        path = numbers.choice(files) if numbers.random() < 0.5 else max(files, key=lambda each: each.stat().st_size)
        content = path.read_bytes()
        path.write_bytes(damaged(content, numbers, cut=cut))
        warnings: list[str] = []
        found = generations.newest(warnings.append)
        tally.add(found is not None and same_checkpoint(found, before) and len(warnings) == 1, f"{path} {warnings}")
        path.write_bytes(content)
    return tally


def histories(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage to the history or result of a run that has ended: it is not read as if nothing were."""
    what = "cut" if cut else "with a flipped bit"
    tally = Tally(f"histories and results {what}, refused")
    numbers = dice(f"history {what}")
    whole = experiment.run(spec_of(*OFTEN), out=folder)
    for _ in range(times):
        path = whole.directory / numbers.choice(["history.jsonl", "result.json"])
        content = path.read_bytes()
        path.write_bytes(damaged(content, numbers, cut=cut))
        try:
            found = History.load(whole.directory)
            tally.add(kept=False, told=f"{path} read as {found}")
        except NormlabError as error:
            tally.add(path.name in str(error), error)
        path.write_bytes(content)
    return tally


def data(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage to the files of a data set: found by checksum, or by the form of the file."""
    what = "cut" if cut else "with a flipped bit"
    tally = Tally(f"data files {what}, refused, or unchanged in what they hold")
    numbers = dice(f"data {what}")
    write(folder / "fashion_mnist")
    files = {file.name: file for file in tiny("http://127.0.0.1:9").files}
    for _ in range(times):
        name = numbers.choice(sorted(gzips()))
        path = folder / "fashion_mnist" / name
        content = path.read_bytes()
        path.write_bytes(damaged(content, numbers, cut=cut))
        file = files[name] if name in files else files[name[: -len(".gz")]]
        try:
            read = payload.read(path, file.size)
            checksums.verify([(file, read)], again=True)
            # the header of a gzip file has bits that say nothing of what is in it
            tally.add(kept=read.contents == payload.read(_restored(path, content), file.size).contents, told=path)
        except NormlabError as error:
            tally.add(name in str(error), error)
        path.write_bytes(content)
    return tally


def _restored(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def resumed(folder: Path, times: int) -> Tally:
    """Runs whose newest checkpoint, or history, is damaged: they end with the same bits, and say what was wrong."""
    tally = Tally("runs that end equal to the bit in spite of a damaged checkpoint or history")
    numbers = dice("resumed")
    whole = experiment.run(spec_of(*OFTEN), out=folder / "whole")
    run = stopped(folder / "stopped")
    for number in range(times):
        out = folder / f"{number}"
        shutil.copytree(folder / "stopped", out)
        victims = sorted((out / "small" / run.name / "checkpoint" / "000003").iterdir())
        victim = numbers.choice([*victims, out / "small" / run.name / "history.jsonl"])
        victim.write_bytes(damaged(victim.read_bytes(), numbers, cut=number % 2 == 0))
        if number == 0:  # none of them is whole
            for path in (out / "small" / run.name / "checkpoint").glob("*/state.json"):
                path.unlink()
        watcher = Watcher()
        found = differences(whole, experiment.run(spec_of(*OFTEN), out=out, observer=watcher))
        first = 0 if number == 0 else 9 if victim.name == "history.jsonl" and victim.parent.name == run.name else 6
        told = f"{victim}: first step {watcher.first_step}, {watcher.warnings}, {found}"
        # a history that was cut between two lines is not damaged, only older
        tally.add(not found and watcher.first_step == first and (watcher.warnings or first == 9), told)
        shutil.rmtree(out)
    return tally


def torture(folder: Path, share: float = 1.0):
    for cut, times in ((False, 1000), (True, 100)):
        for number, (part, weight) in enumerate(((checkpoints, 0.5), (histories, 0.25), (data, 0.25))):
            yield part(folder / f"{number}-{cut}", max(1, round(times * weight * share)), cut=cut)
    yield resumed(folder / "resumed", max(2, round(20 * share)))
