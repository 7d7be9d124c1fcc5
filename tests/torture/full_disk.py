"""Point 3: a full disk, a limit, a folder that can't be written: told with path and bytes, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from typing import TYPE_CHECKING

from crash_points import counting, refusing
from tally import Tally
from trials import SPEC, Watcher, differences, normlab, spec_of

from normlab import experiment
from normlab.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def full_from(folder: Path, number: int = errno.ENOSPC, stride: int = 1) -> Tally:
    """A disk that is full from the k-th operation of a real run on: told with its path, and the run goes on later."""
    tally = Tally("disk full from the k-th operation of a run on, told, and the run resumed equal to the bit")
    spec = spec_of("training={steps: 4, batch_size: 16, checkpoint_every: 1}", "evaluation.every=2")
    with counting() as done:
        whole = experiment.run(spec, out=folder / "whole")
    for at in range(1, len(done) + 1, stride):
        out = folder / f"{at}"
        told = f"{out} bytes free"
        try:
            with counting(refusing(number, at)) as tried:
                experiment.run(spec, out=out)
            if len(tried) < at:  # git is asked once, for a process
                break
        except StorageError as error:
            told = str(error)
        watcher = Watcher()
        resumed = experiment.run(spec, out=out, observer=watcher)
        found = differences(whole, resumed)
        kept = str(out) in told and "bytes free" in told and not found and not watcher.warnings
        tally.add(kept, f"operation {at}: told {told!r}, warned {watcher.warnings}, {found}")
        shutil.rmtree(out)
    return tally


def limited(folder: Path, limits=range(400, 8000, 500)) -> Tally:
    """A process whose files may have so many bytes and no more, as with a quota; then one without the limit."""
    tally = Tally("runs against a limit of file sizes, status 6, then resumed equal to the bit")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    whole = experiment.run(spec_of(), out=folder / "whole")
    most = max(path.stat().st_size for path in whole.directory.rglob("*") if path.is_file())
    for limit in (limit for limit in limits if limit < most):

        def limiting(limit=limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        out = folder / f"{limit}"
        ended = normlab("run", "small.yaml", "--out", out.name, cwd=folder, preexec_fn=limiting)
        told = ended.communicate(timeout=120)[1]
        resumed = experiment.run(spec_of(), out=out)
        kept = ended.returncode == 6 and out.name in told and "bytes free" in told and "Traceback" not in told
        tally.add(kept and not differences(whole, resumed), f"limit {limit}: {ended.returncode} {told}")
    return tally


def unwritable(folder: Path) -> Tally:
    """Folders that can't be written: of another, of the system, on a small file system that is full."""
    tally = Tally("folders that can't be written, status 6 with the path")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    (folder / "file").write_text("")
    places = ["/proc/normlab", "/sys/normlab", "file/inside", "/dev/full/inside"]
    if os.geteuid() != 0:  # to root, nothing is forbidden
        (folder / "closed").mkdir(mode=0o500)
        places.append("closed/inside")
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "normlab", str(small)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    places += ["small/runs"] if mounted else []
    try:
        for place in places:
            ended = normlab("run", "small.yaml", "--out", place, cwd=folder)
            told = ended.communicate(timeout=120)[1]
            kept = ended.returncode == 6 and place.split("/")[0] in told and "Traceback" not in told
            tally.add(kept and len(told.splitlines()) <= 5, f"{place}: {ended.returncode} {told}")
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)
    return tally


def silent(folder: Path) -> Tally:
    """Lines that nobody reads: no word on standard error, and the run ends as ever."""
    tally = Tally("runs whose reader went away, silent")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    for number in range(3):
        with normlab("run", "small.yaml", "--seed", number, cwd=folder) as run:
            run.stdout.readline()
            run.stdout.close()
            told = run.stderr.read()
        tally.add(run.returncode == 0 and told == "", f"{run.returncode} {told}")
    return tally


def torture(folder: Path):
    yield full_from(folder / "full")
    yield limited(folder / "limited")
    yield unwritable(folder / "unwritable")
    yield silent(folder / "silent")
