"""`normlab doctor`: check versions, processor, memory, MXNet, devices, data and plugins, and say how to fix each."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.views import output
from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator


OK, NOTE, WRONG = "ok", "note", "wrong"

#: What normlab needs, as distributions are named; `setup.cfg` says which versions.
DISTRIBUTIONS = ("mxnet", "gluoncv", "numpy", "pluggy", "pydantic", "click", "PyYAML", "rich", "matplotlib", "pooch")

#: Megabytes below which a run of the size of MNIST may not finish.
LITTLE_MEMORY = 1000
LITTLE_DISK = 200

_MEGABYTE = 10**6


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: What.
        value: What was found.
        state: `ok`; `note`, which asks for nothing; or `wrong`, which keeps something from working.
        remedy: What to do about it.
    """

    topic: str
    value: str
    state: str = OK
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything; what can't be looked at is a finding too."""
    for check in CHECKS:
        yield from _examined(check)


def _examined(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - the doctor must not fall ill
        yield Finding(check.__name__.strip("_"), f"can't be examined: {_told(error)}", WRONG, "please report this")


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _python() -> Iterator[Finding]:
    version = f"{platform.python_version()} ({platform.python_implementation()})"
    good = (3, 9) <= sys.version_info[:2] <= (3, 12) and platform.python_implementation() == "CPython"
    yield Finding("python", version, OK if good else WRONG, "" if good else "use CPython 3.9 to 3.12")
    yield Finding("system", f"{platform.system()} {platform.release()}, {platform.machine()}")


def _packages() -> Iterator[Finding]:
    from normlab.version import __version__

    yield Finding("normlab", __version__)
    yield from map(_package, DISTRIBUTIONS)


def _package(name: str) -> Finding:
    from importlib import metadata

    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", WRONG, f"pip install {name}, or install normlab again")


def _mxnet() -> Iterator[Finding]:
    from normlab.backend.mxnet import mxnet

    try:
        mx = mxnet()
    except Exception as error:  # noqa: BLE001 - of the many ways in which it fails, each is to be told
        yield Finding("mxnet import", f"fails: {_told(error)}", WRONG, import_remedy(str(error)))
        return
    features = sorted(feature.name for feature in mx.runtime.Features().values() if feature.enabled)
    yield Finding("mxnet features", " ".join(features))
    blas = "OpenBLAS" if "BLAS_OPEN" in features else "MKL" if "BLAS_MKL" in features else "unknown"
    slow = "" if "MKLDNN" in features else "this build is several times slower; install mxnet ==1.9.1 from PyPI"
    yield Finding("linear algebra", f"{blas}, {'with' if not slow else 'without'} oneDNN", NOTE if slow else OK, slow)
    yield _gpus(mx.context.num_gpus(), cuda="CUDA" in features)


def import_remedy(error: str) -> str:
    """What helps when MXNet does not import."""
    if "libgomp" in error or "libquadmath" in error:
        return "install the system's libraries; on Debian and Ubuntu: apt-get install libgomp1 libquadmath0"
    if "numpy" in error or "np." in error:
        return "this numpy is too new or broken: pip install 'numpy>=1.21,<2'"
    return "install normlab again in a new environment"


def _gpus(count: int, *, cuda: bool) -> Finding:
    if count:
        return Finding("gpus", str(count))
    why = "MXNet finds none" if cuda else "this MXNet has no CUDA"
    remedy = "look at nvidia-smi" if cuda else "to use one: pip uninstall mxnet, then pip install mxnet-cu112==1.9.1"
    return Finding("gpus", f"none: {why}", NOTE, remedy)


def _gluoncv() -> Iterator[Finding]:
    from normlab.backend.mxnet import gluoncv

    if "mxnet" not in sys.modules:
        # it needs MXNet, of which all is told already
        return
    try:
        gluoncv()
    except Exception as error:  # noqa: BLE001 - of the many ways in which it fails, each is to be told
        text = f"fails, so its networks can't be used: {_told(error)}"
        remedy = "keep torch 2 out of this environment" if "torch" in text else "install normlab again"
        yield Finding("gluoncv import", text, WRONG, remedy)


def _threads() -> Iterator[Finding]:
    from normlab.backend.mxnet import SETTINGS, processors, threads

    quota = processor_quota()
    here = processors()
    yield Finding("processors", f"{here}" + (f", of which this process may use {quota:g}" if quota else ""))
    allowed = min(here, quota or here)
    remedy = f"more than there are: set OMP_NUM_THREADS={max(1, int(allowed))}" if threads() > allowed else ""
    yield Finding("threads", f"{threads()} (part of a run's identity)", WRONG if remedy else OK, remedy)
    for name, value in SETTINGS.items():
        yield Finding("setting", f"{name}={os.environ.get(name, value)}")


def processor_quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> float | None:
    """Processors that a container may use, or None if nothing limits it."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _memory() -> Iterator[Finding]:
    info = Path("/proc/meminfo")
    if info.exists():
        lines = dict(line.split(":") for line in info.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024 // _MEGABYTE
        little = free < LITTLE_MEMORY
        yield Finding("memory", f"{free} MB free", WRONG if little else OK, "close other programs" if little else "")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free // _MEGABYTE
    little = free < LITTLE_DISK
    yield Finding("disk", f"{free} MB free here", WRONG if little else OK, "make room" if little else "")
    if not os.access(".", os.W_OK):
        yield Finding("folder", "this folder can't be written to", NOTE, "give normlab run another with --out DIR")


def _data() -> Iterator[Finding]:
    from normlab.datasets.plugin import SHIPPED

    for name, shipped in SHIPPED.items():
        origin = shipped.origin()
        lost = name == "mnist" and origin.state != "present"
        remedy = "it comes with normlab: install normlab again" if lost else ""
        yield Finding(f"data {name}", f"{origin.state}: {origin.where}", WRONG if lost else OK, remedy)


def _plugins() -> Iterator[Finding]:
    from normlab.catalog import catalog

    found = catalog()
    yield Finding("norms", " ".join(found.norms.entries))
    for record in found.plugins:
        if record.unusable:
            where = " ".join(filter(None, [record.distribution, record.version, record.file]))
            remedy = f"mend or uninstall it ({where}); the others go on" if where else "mend it; the others go on"
            yield Finding(f"plugin {record.name}", f"{record.status}: {record.reason}", WRONG, remedy)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _mxnet,
    _gluoncv,
    _threads,
    _memory,
    _disk,
    _data,
    _plugins,
)


EXAMPLES = (
    ("normlab doctor", "everything"),
    ("normlab doctor --quiet", "what is wrong"),
    ("normlab doctor --json | jq '.findings[] | select(.state == \"wrong\")'", "what is wrong, for a program"),
)

COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.option("--quiet", is_flag=True, help="Print nothing but what is wrong.")
@options.as_json("the findings")
@options.debug
def doctor(quiet: bool, as_json: bool) -> int:
    """Report what is installed, what is wrong and how to fix it.

    The exit status is 1 if something is wrong. Notes tell what is limited here, and ask for nothing.
    """
    findings = list(examine())
    wrong = [finding for finding in findings if finding.state == WRONG]
    if as_json:
        output.print_json({"healthy": not wrong, "findings": [asdict(finding) for finding in findings]})
    elif not quiet:
        verdict = "all is well" if not wrong else f"{len(wrong)} wrong"
        click.echo("\n".join([*_lines(findings), "", verdict]))
    elif wrong:
        click.echo("\n".join(_lines(wrong)))
    return ExitStatus.UNEXPECTED if wrong else ExitStatus.DONE


def _lines(findings: list[Finding]) -> list[str]:
    """One line a finding, and one for its remedy."""
    rows = []
    for finding in findings:
        rows.append((finding.state, finding.topic, finding.value))
        if finding.remedy:
            rows.append(("", "", f"-> {finding.remedy}"))
    lines = output.columns(rows, wrap=True)
    return [_coloured(line) for line in lines]


def _coloured(line: str) -> str:
    state, space, rest = line.partition(" ")
    return click.style(state, fg=COLOURS[state]) + space + rest if state else line
