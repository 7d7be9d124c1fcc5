"""Read a spec file, and what it extends, and validate it into a `Spec`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from normlab.errors import SpecError
from normlab.spec.document import Document
from normlab.spec.node import Entry, Node, Place
from normlab.spec.problems import problems
from normlab.spec.schema import Spec, name_of
from normlab.spec.words import brief, listed, nearest, shown
from normlab.spec.yaml import MAX_BYTES, MAX_NODES

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


MAX_CHAIN = 8
"""Files of which each extends the next."""
MAX_FILES = 16
"""Files that make one spec."""


def load_spec(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec file.

    Args:
        path: The file; errors name it as it is given here.
        overrides: Settings of the command line, `key.key=value`, that win over the file.
        seed: Wins over the file's seed.
        device: Wins over the file's device.

    Raises:
        SpecError: Something is wrong; the message has a line for each mistake, 20 at most.
    """
    named = os.fspath(path)
    return _checked(_Reading().file(Path(named), named), name_of(named), overrides, seed, device)


def parse_spec(
    text: str,
    source: str = "<text>",
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec from text.

    Args:
        text: What a file would hold; files that it names are relative to the current folder.
        source: What errors call it.
        overrides: As for `load_spec`.
        seed: As for `load_spec`.
        device: As for `load_spec`.

    Raises:
        SpecError: As `load_spec`.
    """
    return _checked(_Reading().text(text, source, Path()), name_of(source), overrides, seed, device)


def spec_in_block(
    block: Node,
    name: str,
    folder: Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec that stands as a block in a file of something else.

    Args:
        block: The block, a mapping.
        name: The spec's name, if it says none.
        folder: Files that it names are relative to this one.
        overrides: As for `load_spec`.
        seed: As for `load_spec`.
        device: As for `load_spec`.

    Raises:
        SpecError: As `load_spec`.
    """
    return _checked(_Reading().block(block, folder), name, overrides, seed, device)


def _checked(document: Document, name: str, overrides: Sequence[str], seed: int | None, device: str | None) -> Spec:
    document, lines = _overridden(document, overrides)
    for option, value in (("seed", seed), ("device", device)):
        if value is not None:
            document = document.with_value((option,), value, Place(f"--{option} {brief(str(value))}"))
    document = _with_absolute_plugins(document, Path())
    try:
        spec = Spec.model_validate({"name": name, **document.data}, context=document)
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, document, schema=Spec.model_json_schema(), told=lines))) from None
    if lines:
        raise SpecError("\n".join(lines))
    return spec


def _overridden(document: Document, overrides: Sequence[str]) -> tuple[Document, list[str]]:
    """Apply what can be applied; the lines tell what can't."""
    lines = []
    for override in overrides:
        try:
            document = document.with_override(override)
        except SpecError as error:  # noqa: PERF203 - every mistake is to be told
            lines.append(str(error))
    return document, lines


class _Reading:
    """One spec being read, from as many files as it may have."""

    def __init__(self) -> None:
        self._files, self._nodes = MAX_FILES, MAX_NODES

    def file(self, path: Path, named: str, where: str = "", chain: tuple[Path, ...] = ()) -> Document:
        """Read a file and what it extends."""
        self._files -= 1
        if self._files < 0:
            raise SpecError(f"{where}{brief(named)}: one file too many; expected at most {MAX_FILES} for one spec")
        text = read_text(path, named, where)
        resolved = path.resolve()
        if resolved in chain:
            raise SpecError(f"{where}{brief(named)}: extends itself in a circle; expected an end; remove this line")
        if len(chain) == MAX_CHAIN:
            raise SpecError(f"{where}{brief(named)}: extends too often; expected at most {MAX_CHAIN} files in a chain")
        return self.text(text, str(path), path.parent, (*chain, resolved))

    def text(self, text: str, source: str, folder: Path, chain: tuple[Path, ...] = ()) -> Document:
        """Read a text and what it extends."""
        return self.block(Document.parse(text, source, max_nodes=self._nodes).root, folder, chain)

    def block(self, root: Node, folder: Path, chain: tuple[Path, ...] = ()) -> Document:
        """Read what a block of settings extends; its own settings win, then the later of several files."""
        self._nodes -= root.size
        layers = [self.file(folder / name, name, f"{place}: extends: ", chain) for place, name in _extended(root)]
        own = {key: entry for key, entry in root.entries.items() if key != "extends"}
        layers.append(_with_absolute_plugins(Document(Node(own, root.place)), folder))
        merged = layers[0]
        for layer in layers[1:]:
            merged = merged.merged(layer)
        return merged


def _extended(root: Node) -> list[tuple[Place, str]]:
    node = root.below("extends")
    if node is None:
        return []
    files = node.items or [node]
    for file in files:
        if not isinstance(file.value, str) or not file.value:
            what = f"expected the name of a file, or a list of names, got {shown(file.plain())}"
            raise SpecError(f"{file.place}: extends: {what}")
    return [(file.place, str(file.value)) for file in files]


def _with_absolute_plugins(document: Document, folder: Path) -> Document:
    """Let plugins be found wherever the spec is run: their files are relative to the file that names them."""
    entry = document.root.entries.get("plugins")
    if entry is None:
        return document
    items = [_absolute(item, folder) for item in entry.node.items]
    plugins = Entry(entry.key, Node(items, entry.node.place)) if items else entry
    return Document(Node({**document.root.entries, "plugins": plugins}, document.root.place))


def _absolute(item: Node, folder: Path) -> Node:
    if not isinstance(item.value, str) or not item.value:
        return item
    return Node(os.path.abspath(folder / item.value), item.place)  # noqa: PTH100 - resolve() would follow links
