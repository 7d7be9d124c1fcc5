"""One Python environment for each framework, since they need different versions of NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


def names() -> list[str]:
    """Return the frameworks that have a requirements file."""
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def python_of(folder: Path, name: str) -> Path:
    """Return the path of the interpreter of environment ``name``, which need not exist."""
    return folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_built(folder: Path, name: str) -> bool:
    """Return whether environment ``name`` exists with the present requirements."""
    stamp = _stamp(folder, name)
    return stamp.exists() and stamp.read_text() == _requirements(name).read_text()


def build(folder: Path, name: str) -> None:
    """Build environment ``name`` with the Python that runs this.

    Raises:
        subprocess.CalledProcessError: The environment could not be built, or pip could not install a package.
    """
    print(f"building {folder / name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / name)], check=True)
    pip = [str(python_of(folder, name)), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(_requirements(name))], check=True)
    _stamp(folder, name).write_text(_requirements(name).read_text())


def _requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _stamp(folder: Path, name: str) -> Path:
    """Return the file that is written last and lists what was installed."""
    return folder / name / "requirements-installed.txt"
