"""One Python environment for each framework, since no two of them agree about numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


def names() -> list[str]:
    """Return the frameworks that there are requirement files for."""
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def python_of(folder: Path, name: str) -> Path:
    """Return where the interpreter of environment ``name`` is or will be."""
    return folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_built(folder: Path, name: str) -> bool:
    """Return whether environment ``name`` is there, with the requirements as they are now."""
    stamp = _stamp(folder, name)
    return stamp.exists() and stamp.read_text() == _requirements(name).read_text()


def build(folder: Path, name: str) -> None:
    """Make environment ``name`` with the Python that runs this.

    Raises:
        subprocess.CalledProcessError: The environment could not be made or a package not installed; pip has said why.
    """
    print(f"building {folder / name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / name)], check=True)
    pip = [str(python_of(folder, name)), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(_requirements(name))], check=True)
    _stamp(folder, name).write_text(_requirements(name).read_text())


def _requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _stamp(folder: Path, name: str) -> Path:
    """Return the file that says, last of all, that an environment is complete, and what was installed."""
    return folder / name / "requirements-installed.txt"
