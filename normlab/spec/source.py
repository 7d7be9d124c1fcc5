"""Reading the text of a spec file: what is not there, not readable or not text is told in one sentence."""

from __future__ import annotations

import itertools
from pathlib import Path

from normlab.errors import SpecError
from normlab.spec.words import brief, listed, nearest
from normlab.spec.yaml import MAX_BYTES

_SUFFIXES = (".yaml", ".yml")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_ENTRIES = 1000  # of a folder, looked through for a name that was meant
_LONGEST_PATH = 300


def read_text(path: Path, named: str, where: str = "") -> str:
    """Read a file of UTF-8 text, at most 256 kB of it.

    Args:
        path: The file.
        named: What the person called it.
        where: Stands before the name in errors: the place in another file that names it.

    Raises:
        SpecError: It is not there, not readable, too large or not UTF-8.
    """
    source = where + brief(named, _LONGEST_PATH)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise SpecError(f"{source}: no such file; {_instead(path, named)}") from None
    except IsADirectoryError:
        raise SpecError(f"{source}: a folder; expected a YAML file; {_listing(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{source}: can't be read ({reason}); expected a YAML file; check its rights") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{source}: over {MAX_BYTES // 1024} kB; expected a spec, which is smaller")
    return _decoded(data, source)


def _decoded(data: bytes, source: str) -> str:
    if data.startswith(_UTF16) or b"\0" in data[:4]:
        raise SpecError(f"{source}: text in UTF-16 or UTF-32, or no text; expected UTF-8; save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = data[: error.start].split(b"\n")
        place = f"{source}:{len(lines)}:{len(lines[-1].decode('utf-8', 'replace')) + 1}"
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8; expected UTF-8; save the file as UTF-8"
        raise SpecError(f"{place}: {what}") from None


def _instead(path: Path, named: str) -> str:
    """Suggest a YAML file of the same folder, named as the person named the missing one."""
    near = nearest(path.stem, {Path(name).stem: name for name in _yaml_files(path.parent)})
    if near is None:
        return _listing(path.parent)
    found = next(name for name in _yaml_files(path.parent) if Path(name).stem == near)
    return f"did you mean '{brief(str(Path(named).with_name(found)), _LONGEST_PATH)}'?"


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder '{brief(str(folder), _LONGEST_PATH)}' either"
    files = _yaml_files(folder)
    named = "this folder" if str(folder) == "." else f"the folder '{brief(str(folder), _LONGEST_PATH)}'"
    if not files:
        return f"{named} has no YAML file"
    shown = [brief(name) for name in files[:5]]
    return f"{named} has {listed(shown, 'and')}" if len(files) == len(shown) else f"{named} has {', '.join(shown)}, ..."


def _yaml_files(folder: Path) -> list[str]:
    try:
        entries = [entry.name for entry in itertools.islice(folder.iterdir(), _MOST_ENTRIES)]
    except OSError:
        return []
    return sorted(name for name in entries if name.endswith(_SUFFIXES))
