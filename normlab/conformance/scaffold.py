"""Write a working plugin, as a file or as a package, for an author to adapt."""

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

#: Words that YAML 1.1 or 1.2 does not read as text.
_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def check_name(name: str, taken: Shelf[Norm]) -> None:
    """Check that a new method can have a name.

    Args:
        name: The name.
        taken: The existing methods.

    Raises:
        SpecError: It is not a valid name, has a meaning in Python or YAML, or is taken.
    """
    if not NAME.fullmatch(name):
        better = re.sub(r"\W+", "_", name.lower()).strip("_")
        near = f"; did you mean {better!r}?" if NAME.fullmatch(better) else ""
        raise SpecError(f"{name!r} is not a valid name; expected lower-case letters, digits and '_', at most 40{near}")
    if keyword.iskeyword(name) or name in _YAML:
        language = "YAML" if name in _YAML else "Python"
        raise SpecError(f"{name!r} has a meaning of its own in {language}; choose another name")
    if name in taken.entries:
        source = taken.entries[name].source
        owner = " ".join(filter(None, [source.distribution, source.version])) or source.file
        raise SpecError(f"norm {name!r} exists already, in {owner}; choose another name")


def write_file(name: str, way: str, out: str) -> Path:
    """Write a plugin as a single file.

    Args:
        name: The method's name.
        way: The way in which it acts; there must be a template for it.
        out: The folder to write it to.

    Returns:
        The file.

    Raises:
        SpecError: The file exists, or would hide an installed module.
        StorageError: The folder cannot be written to.
    """
    file = Path(out, f"{name}.py")
    _refuse_existing(file, name)
    _write(file, f"{way}.py.template", _substitutions(name))
    return file


def write_package(name: str, way: str, out: str) -> Path:
    """Write a plugin as an installable package.

    Args:
        name: The method's name.
        way: The way in which it acts; there must be a template for it.
        out: The folder to write it to.

    Returns:
        The package's folder.

    Raises:
        SpecError: The folder exists, or would hide an installed module.
        StorageError: The folder cannot be written to.
    """
    words = _substitutions(name)
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
        shutil.rmtree(folder, ignore_errors=True)  # half a package would be of no use
        raise
    return folder


def _substitutions(name: str) -> dict[str, str]:
    """Return the values of the placeholders in the templates."""
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return {
        "name": name,
        # templates import some of normlab's own names
        "class_name": f"{class_name}Method" if class_name in normlab.__all__ else class_name,
        "module": f"normlab_{name}",
        "distribution": f"normlab-{name.strip('_').replace('_', '-')}",
    }


def _refuse_existing(path: Path, module: str) -> None:
    if path.exists() or path.is_symlink():
        raise SpecError(f"{path}: exists already and is not overwritten; choose another name, or move it away")
    if importlib.util.find_spec(module) is not None:
        raise SpecError(f"{path}: would hide the installed Python module {module!r}; choose another name")


def _write(path: Path, template: str, words: Mapping[str, str]) -> None:
    text = Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x" does not overwrite a file that another process has just created
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
