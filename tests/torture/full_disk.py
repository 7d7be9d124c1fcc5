"""Point 3: a full disk, a file size limit, an unwritable folder: the error has path and free bytes, nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from typing import TYPE_CHECKING

from crash_points import count_operations, refuse_from
from tally import Tally
from trials import SPEC, Recorder, find_differences, normlab, spec_of

from normlab import experiment
from normlab.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def fill_disk(folder: Path, number: int = errno.ENOSPC, stride: int = 1) -> Tally:
    """Fail all file operations of a run from the k-th on, then resume it."""
    tally = Tally("disk full from the k-th operation on: reported, and the run resumed bit-identical")
    spec = spec_of("training={steps: 4, batch_size: 16, checkpoint_every: 1}", "evaluation.every=2")
    with count_operations() as done:
        whole = experiment.run(spec, out=folder / "whole")
    for at in range(1, len(done) + 1, stride):
        out = folder / f"{at}"
        message = f"{out} bytes free"
        try:
            with count_operations(refuse_from(number, at)) as tried:
                experiment.run(spec, out=out)
            if len(tried) < at:  # the first run of a process calls git, the others have fewer operations
                break
        except StorageError as error:
            message = str(error)
        recorder = Recorder()
        resumed = experiment.run(spec, out=out, observer=recorder)
        found = find_differences(whole, resumed)
        kept = str(out) in message and "bytes free" in message and not found and not recorder.warnings
        tally.add(kept, f"operation {at}: message {message!r}, warnings {recorder.warnings}, {found}")
        shutil.rmtree(out)
    return tally


def limit_file_size(folder: Path, limits=range(400, 8000, 500)) -> Tally:
    """Train with a limit on the size of files, as a quota sets it; then resume without the limit."""
    tally = Tally("runs with a limit on file sizes: status 6, then resumed bit-identical")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    whole = experiment.run(spec_of(), out=folder / "whole")
    most = max(path.stat().st_size for path in whole.directory.rglob("*") if path.is_file())
    for limit in (limit for limit in limits if limit < most):

        def set_limit(limit=limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        out = folder / f"{limit}"
        ended = normlab("run", "small.yaml", "--out", out.name, cwd=folder, preexec_fn=set_limit)
        errors = ended.communicate(timeout=120)[1]
        resumed = experiment.run(spec_of(), out=out)
        kept = ended.returncode == 6 and out.name in errors and "bytes free" in errors and "Traceback" not in errors
        tally.add(kept and not find_differences(whole, resumed), f"limit {limit}: {ended.returncode} {errors}")
    return tally


def write_to_unwritable_folders(folder: Path) -> Tally:
    """Run into folders that can't be written: system folders, read-only ones, a small file system."""
    tally = Tally("folders that can't be written: status 6 with the path")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    (folder / "file").write_text("")
    places = ["/proc/normlab", "/sys/normlab", "file/inside", "/dev/full/inside"]
    if os.geteuid() != 0:  # root may write everywhere
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
            errors = ended.communicate(timeout=120)[1]
            kept = ended.returncode == 6 and place.split("/")[0] in errors and "Traceback" not in errors
            tally.add(kept and len(errors.splitlines()) <= 5, f"{place}: {ended.returncode} {errors}")
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)
    return tally


def close_pipe(folder: Path) -> Tally:
    """Close the pipe that reads standard output: the run completes, and nothing is on standard error."""
    tally = Tally("runs whose reader closed the pipe: completed, no message")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    for number in range(3):
        with normlab("run", "small.yaml", "--seed", number, cwd=folder) as run:
            run.stdout.readline()
            run.stdout.close()
            errors = run.stderr.read()
        tally.add(run.returncode == 0 and errors == "", f"{run.returncode} {errors}")
    return tally


def torture(folder: Path):
    yield fill_disk(folder / "full")
    yield limit_file_size(folder / "limited")
    yield write_to_unwritable_folders(folder / "unwritable")
    yield close_pipe(folder / "silent")
