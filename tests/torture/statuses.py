"""Point 9: one command for each documented exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tally import Tally
from trials import SPEC, normlab

from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    ExitStatus.DONE: ("run", "small.yaml", "-s", "training.steps=2"),
    ExitStatus.SPEC: ("run", "small.yaml", "-s", "training.stps=2"),
    ExitStatus.DIVERGED: ("run", "small.yaml", "-s", "norm=none", "-s", "optimizer.learning_rate=1e30"),
    ExitStatus.PLUGIN: ("run", "small.yaml", "--plugin", "broken.py"),
    ExitStatus.DATA: ("run", "small.yaml", "-s", "dataset={name: arrays, path: absent.npz}"),
    ExitStatus.STORAGE: ("run", "small.yaml", "--out", "small.yaml"),
    ExitStatus.SOME_FAILED: ("compare", "study.yaml", "--jobs", "1"),
}
#: A study with two arms; the method of one raises an error.
STUDY = """
name: failing
spec: small.yaml
scientific: {norm: [none, failing]}
seeds: 1
"""
PLUGIN = """
from normlab import Norm, NormLayer, hookimpl

class Failing(NormLayer):
    def hybrid_forward(self, F, x):
        raise RuntimeError("on purpose")

@hookimpl
def normlab_norms():
    yield Norm("failing", layer=Failing)
"""


def torture(folder: Path):
    tally = Tally("exit statuses: one command for each (130 and 143: see point 8)")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC + "plugins: [failing.py]\n")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "failing.py").write_text(PLUGIN)
    (folder / "broken.py").write_text("1 / 0\n")
    for status, words in COMMANDS.items():
        run = normlab(*words, cwd=folder)
        errors = run.communicate(timeout=300)[1]
        tally.add(run.returncode == status and "Traceback" not in errors, f"{status!r}: {run.returncode} {errors}")
    yield tally
