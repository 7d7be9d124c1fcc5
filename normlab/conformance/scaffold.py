"""Write a plugin that works, as a file or as a package, for an author to change into their own."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import normlab
from normlab.errors import NAME, SpecError
from normlab.norms.contract import Norm
from normlab.runs.files import storage_errors

if TYPE_CHECKING:
    from normlab.catalog.registry import Shelf

_TEMPLATES = Path(__file__).parent / "templates"

#: Words that YAML, as it was or as it is, does not read as text.
_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def check_name(name: str, taken: Shelf[Norm]) -> None:
    """Refuse a name under which a method could not be used.

    Args:
        name: The name of the method to be.
        taken: The methods that there are.

    Raises:
        SpecError: It has not the form of a name, means something else, or is taken.
    """
    if not NAME.fullmatch(name):
        better = re.sub(r"\W+", "_", name.lower()).strip("_")
        near = f"; did you mean {better!r}?" if NAME.fullmatch(better) else ""
        raise SpecError(f"{name!r} is no name of a norm; expected small letters, digits and '_', at most 40{near}")
    if keyword.iskeyword(name) or name in _YAML:
        language = "YAML" if name in _YAML else "Python"
        raise SpecError(f"{name!r} means something else in {language}; choose another name")
    if name in taken.entries:
        source = taken.entries[name].source
        owner = " ".join(filter(None, [source.distribution, source.version])) or source.file
        raise SpecError(f"norm {name!r} is there already, from {owner}; choose another name")


def write_file(name: str, way: str, out: str) -> Path:
    """Write a plugin as a single file.

    Args:
        name: The method's name.
        way: The way in which it acts, for which there is a template.
        out: The folder that it goes into.

    Returns:
        The file.

    Raises:
        SpecError: There is such a file, or a module that it would hide.
        StorageError: The folder can't be written to.
    """
    file = Path(out, f"{name}.py")
    _refuse_existing(file, name)
    _write(file, f"{way}.py.template", _words(name))
    return file


def write_package(name: str, way: str, out: str) -> Path:
    """Write a plugin as an installable package.

    Args:
        name: The method's name.
        way: The way in which it acts, for which there is a template.
        out: The folder that it goes into.

    Returns:
        The package's folder.

    Raises:
        SpecError: There is such a folder, or an installed module of that name.
        StorageError: The folder can't be written to.
    """
    words = _words(name)
    folder = Path(out, words["distribution"])
    _refuse_existing(folder, words["module"])
    with storage_errors(folder):
        folder.mkdir(parents=True)
    try:
        _write(folder / "src" / f"{words['module']}.py", f"{way}.py.template", words)
        _write(folder / "tests" / f"test_{name}.py", "test_plugin.py.template", words)
        for written in ("setup.cfg", "pyproject.toml", "README.md"):
            _write(folder / written, f"{written}.template", words)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # half a package helps nobody
        raise
    return folder


def _words(name: str) -> dict[str, str]:
    """What templates are filled with."""
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return {
        "name": name,
        # a template imports some of normlab's own names
        "class_name": f"{class_name}Method" if class_name in normlab.__all__ else class_name,
        "module": f"normlab_{name}",
        "distribution": f"normlab-{name.strip('_').replace('_', '-')}",
    }


def _refuse_existing(path: Path, module: str) -> None:
    if path.exists() or path.is_symlink():
        raise SpecError(f"{path}: exists and is not overwritten; choose another name, or move it away")
    if importlib.util.find_spec(module) is not None:
        raise SpecError(f"{path}: there is a Python module {module!r}, which it would hide; choose another name")


def _write(path: Path, template: str, words: Mapping[str, str]) -> None:
    text = Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": not even a file that came into being just now is overwritten
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
