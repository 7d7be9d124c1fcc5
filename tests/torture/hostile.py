"""Point 7: files and names from an untrusted source: refused; no code runs, nothing is written outside the root."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from hostile_yaml import HOSTILE
from tally import Tally
from trials import ROOT, SPEC, environment, normlab, spec_of

from normlab import experiment
from normlab.errors import NormlabError, SpecError
from normlab.runs.checkpoint import OPTIMIZER, PARAMETERS, Generations
from normlab.runs.manifest import write_sealed
from normlab.spec import load_spec

NAMES = ["../x", "/etc/x", "a/b", "..", ".", ".hidden", "CON", "x" * 300, "a\nb", "a\0b", "%00", "~", "-rf"]


def load_documents(folder: Path) -> Tally:
    """Load each hostile YAML file."""
    tally = Tally("hostile YAML files: refused with status 2 and a place")
    folder.mkdir(parents=True)
    for name, (content, _) in HOSTILE.items():
        path = folder / "hostile.yaml"
        path.write_bytes(content)
        try:
            tally.add(kept=False, message=f"{name} read as {load_spec(str(path))}")
        except SpecError as error:
            lines = str(error).splitlines()
            tally.add(error.status == 2 and len(lines) <= 21 and lines[0].startswith(str(path)), f"{name}: {error}")
    return tally


def load_generated_documents() -> Tally:
    """Run the tests of random documents and of the cost of hostile ones, with 2,000 documents."""
    tally = Tally("tests of hostile YAML with 2,000 generated documents: under 0.2 s and 100 MB each")
    chosen = ["tests/spec/test_hostile.py", "-k", "random or cost", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *chosen]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(NORMLAB_TORTURE="1"), capture_output=True, text=True, check=False
    )
    tally.add(done.returncode == 0 and "2 passed" in done.stdout, done.stdout[-500:])
    return tally


def run_hostile_names(folder: Path) -> Tally:
    """Run specs whose name is a path: refused, or stored inside the root."""
    tally = Tally("names that are paths: nothing written outside the root")
    folder.mkdir(parents=True)
    for name in NAMES:
        before = {path for path in folder.rglob("*") if "runs" not in path.parts}
        try:
            spec = spec_of("training.steps=1").model_copy(update={"name": name})
            history = experiment.run(spec, out=folder / "runs")
            inside = (folder / "runs").resolve() in history.directory.resolve().parents
        except NormlabError:
            inside = True
        after = {path for path in folder.rglob("*") if "runs" not in path.parts}
        tally.add(inside and before == after, f"{name!r}: {after - before}")
    outside = folder / "outside"
    outside.mkdir()
    (folder / "linked").mkdir()
    (folder / "linked" / "small").symlink_to(outside)
    try:
        experiment.run(spec_of(), out=folder / "linked")
        message = "followed"
    except NormlabError as error:
        message = str(error)
    tally.add("points outside of" in message and not list(outside.iterdir()), message)
    return tally


class Exploit:
    """Creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def load_pickles(folder: Path) -> Tally:
    """Load pickled objects from data and from checkpoints with a valid manifest: none is unpickled."""
    tally = Tally("files with pickled objects: refused and not executed")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    trap = folder / "trap"
    objects = np.array([Exploit(trap)], dtype=object)
    np.savez(folder / "own.npz", train_images=objects, train_labels=objects, test_images=objects, test_labels=objects)
    run = normlab("run", "small.yaml", "-s", "dataset={name: arrays, path: own.npz}", cwd=folder)
    errors = run.communicate(timeout=120)[1]
    tally.add(run.returncode == 5 and not trap.exists() and "Traceback" not in errors, errors)

    history = experiment.run(spec_of(), out=folder / "runs")
    checkpoints = Generations(history.directory / "checkpoint")
    files = {path.name: path.read_bytes() for path in checkpoints.paths()[-1].iterdir()}
    del files["manifest.json"]
    for number, name in enumerate((PARAMETERS, OPTIMIZER)):
        for at, content in enumerate((pickle.dumps(Exploit(trap)), (folder / "own.npz").read_bytes())):
            write_sealed(checkpoints.folder / f"9{number}{at:04d}", {**files, name: content})
            warnings: list[str] = []
            found = checkpoints.newest(warnings.append)
            tally.add(found is not None and len(warnings) == 2 * number + at + 1 and not trap.exists(), warnings)
    return tally


def run_beside_python_files(folder: Path) -> Tally:
    """Run a spec in a folder with Python files: none is imported, since none is named."""
    tally = Tally("Python files beside a spec: not imported unless named")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(SPEC)
    for name in ("normlab_plugin", "plugin", "mxnet", "numpy", "sitecustomize", "conftest"):
        (folder / f"{name}.py").write_text("import os\nos.mkdir('trap')\n")
    command = [str(Path(sys.executable).parent / "normlab"), "run", "small.yaml"]
    if not Path(command[0]).exists():  # `python -m` always puts the current folder on the path
        return tally
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    tally.add(done.returncode == 0 and not (folder / "trap").exists(), done.stderr)
    return tally


def torture(folder: Path):
    yield load_documents(folder / "documents")
    yield load_generated_documents()
    yield run_hostile_names(folder / "names")
    yield load_pickles(folder / "pickles")
    yield run_beside_python_files(folder / "unnamed")
