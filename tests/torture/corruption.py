"""Point 4: flipped bits and truncated files, in checkpoints, histories, results and data: all are detected."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from datasets_support import gzips, tiny, write
from tally import Tally
from trials import Killed, Recorder, find_differences, is_identical, random_numbers, spec_of

from normlab import experiment
from normlab.datasets import checksums, payload
from normlab.errors import NormlabError
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.history import History

if TYPE_CHECKING:
    from pathlib import Path

OFTEN = ("optimizer={name: adam}", "training={steps: 12, batch_size: 16, checkpoint_every: 3}")


def damage(content: bytes, numbers, *, cut: bool) -> bytes:
    """Return the content with one bit flipped, or truncated."""
    if cut:
        return content[: numbers.randrange(len(content))]
    changed = bytearray(content)
    changed[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
    return bytes(changed)


def train_and_kill(folder: Path) -> Path:
    """Kill a run that has stored two checkpoints, and return its directory."""
    with suppress(Killed):
        experiment.run(spec_of(*OFTEN), out=folder, observer=Recorder(11))
    (path,) = folder.glob("small/*")
    assert [each.name for each in Generations(path / "checkpoint").paths()] == ["000002", "000003"]
    return path


def is_same_checkpoint(one: Checkpoint, other: Checkpoint) -> bool:
    arrays = all(
        list(getattr(one, kind)) == list(getattr(other, kind))
        and all(is_identical(array, getattr(other, kind)[name]) for name, array in getattr(one, kind).items())
        for kind in ("parameters", "optimizer")
    )
    facts = ("run", "step", "updates", "history", "made_with", "seconds")
    return arrays and all(getattr(one, name) == getattr(other, name) for name in facts)


def damage_checkpoints(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage the newer of two checkpoints: the older one is loaded, with a warning."""
    what = "cut short" if cut else "with a flipped bit"
    tally = Tally(f"checkpoints {what}: detected and skipped with a warning")
    numbers = random_numbers(f"checkpoint {what}")
    run = train_and_kill(folder)
    generations = Generations(run / "checkpoint")
    before = Checkpoint.load(generations.paths()[0])
    files = [path for path in generations.paths()[1].iterdir() if path.is_file()]
    for _ in range(times):
        # mostly the largest file, but each file sometimes
        path = numbers.choice(files) if numbers.random() < 0.5 else max(files, key=lambda each: each.stat().st_size)
        content = path.read_bytes()
        path.write_bytes(damage(content, numbers, cut=cut))
        warnings: list[str] = []
        found = generations.newest(warnings.append)
        tally.add(found is not None and is_same_checkpoint(found, before) and len(warnings) == 1, f"{path} {warnings}")
        path.write_bytes(content)
    return tally


def damage_histories(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage the history or the result of a finished run: it is refused."""
    what = "cut short" if cut else "with a flipped bit"
    tally = Tally(f"histories and results {what}: refused")
    numbers = random_numbers(f"history {what}")
    whole = experiment.run(spec_of(*OFTEN), out=folder)
    for _ in range(times):
        path = whole.directory / numbers.choice(["history.jsonl", "result.json"])
        content = path.read_bytes()
        path.write_bytes(damage(content, numbers, cut=cut))
        try:
            found = History.load(whole.directory)
            tally.add(kept=False, message=f"{path} read as {found}")
        except NormlabError as error:
            tally.add(path.name in str(error), error)
        path.write_bytes(content)
    return tally


def damage_data(folder: Path, times: int, *, cut: bool) -> Tally:
    """Damage the files of a data set: the checksum or the file format reveals it."""
    what = "cut short" if cut else "with a flipped bit"
    tally = Tally(f"data files {what}: refused, or the same content")
    numbers = random_numbers(f"data {what}")
    write(folder / "fashion_mnist")
    files = {file.name: file for file in tiny("http://127.0.0.1:9").files}
    for _ in range(times):
        name = numbers.choice(sorted(gzips()))
        path = folder / "fashion_mnist" / name
        content = path.read_bytes()
        path.write_bytes(damage(content, numbers, cut=cut))
        file = files[name] if name in files else files[name[: -len(".gz")]]
        try:
            read = payload.read(path, file.size)
            checksums.verify([(file, read)], again=True)
            # some bits in the header of a gzip file do not affect its content
            tally.add(kept=read.contents == payload.read(_restore(path, content), file.size).contents, message=path)
        except NormlabError as error:
            tally.add(name in str(error), error)
        path.write_bytes(content)
    return tally


def _restore(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def damage_and_resume(folder: Path, times: int) -> Tally:
    """Resume runs whose newest checkpoint or history is damaged: same bits at the end, and a warning."""
    tally = Tally("runs with a damaged checkpoint or history: bit-identical at the end")
    numbers = random_numbers("resumed")
    whole = experiment.run(spec_of(*OFTEN), out=folder / "whole")
    run = train_and_kill(folder / "stopped")
    for number in range(times):
        out = folder / f"{number}"
        shutil.copytree(folder / "stopped", out)
        victims = sorted((out / "small" / run.name / "checkpoint" / "000003").iterdir())
        victim = numbers.choice([*victims, out / "small" / run.name / "history.jsonl"])
        victim.write_bytes(damage(victim.read_bytes(), numbers, cut=number % 2 == 0))
        if number == 0:  # damage all checkpoints
            for path in (out / "small" / run.name / "checkpoint").glob("*/state.json"):
                path.unlink()
        recorder = Recorder()
        found = find_differences(whole, experiment.run(spec_of(*OFTEN), out=out, observer=recorder))
        first = 0 if number == 0 else 9 if victim.name == "history.jsonl" and victim.parent.name == run.name else 6
        message = f"{victim}: first step {recorder.first_step}, {recorder.warnings}, {found}"
        # a history truncated between two lines is valid, only older
        tally.add(not found and recorder.first_step == first and (recorder.warnings or first == 9), message)
        shutil.rmtree(out)
    return tally


def torture(folder: Path, share: float = 1.0):
    for cut, times in ((False, 1000), (True, 100)):
        for number, (part, weight) in enumerate(
            ((damage_checkpoints, 0.5), (damage_histories, 0.25), (damage_data, 0.25))
        ):
            yield part(folder / f"{number}-{cut}", max(1, round(times * weight * share)), cut=cut)
    yield damage_and_resume(folder / "resumed", max(2, round(20 * share)))
