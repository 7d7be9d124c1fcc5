"""Read a spec file and the files it extends, and validate them into a `Spec`."""

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
_MOST_ENTRIES = 1000  # of a folder that is searched for a similar file name
_LONGEST_PATH = 300


def read_text(path: Path, named: str, where: str = "") -> str:
    """Read a file of UTF-8 text of at most 256 kB.

    Args:
        path: The file.
        named: The file as the user named it.
        where: Prefix of error messages: the position in another file that names this one.

    Raises:
        SpecError: The file does not exist, can't be read, is too large, or is not UTF-8.
    """
    source = where + brief(named, _LONGEST_PATH)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise SpecError(f"{source}: no such file; {_suggest_file(path, named)}") from None
    except IsADirectoryError:
        raise SpecError(f"{source}: a folder; expected a YAML file; {_describe_folder(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{source}: can't be read ({reason}); expected a YAML file; check its permissions") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{source}: over {MAX_BYTES // 1024} kB; expected a smaller file")
    return _decode(data, source)


def _decode(data: bytes, source: str) -> str:
    if data.startswith(_UTF16) or b"\0" in data[:4]:
        raise SpecError(f"{source}: text in UTF-16 or UTF-32, or a binary file; expected UTF-8; save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = data[: error.start].split(b"\n")
        place = f"{source}:{len(lines)}:{len(lines[-1].decode('utf-8', 'replace')) + 1}"
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8; expected UTF-8; save the file as UTF-8"
        raise SpecError(f"{place}: {what}") from None


def _suggest_file(path: Path, named: str) -> str:
    """Suggest a YAML file of the same folder with a similar name."""
    near = nearest(path.stem, {Path(name).stem: name for name in _yaml_files(path.parent)})
    if near is None:
        return _describe_folder(path.parent)
    found = next(name for name in _yaml_files(path.parent) if Path(name).stem == near)
    return f"did you mean '{brief(str(Path(named).with_name(found)), _LONGEST_PATH)}'?"


def _describe_folder(folder: Path) -> str:
    if not folder.is_dir():
        return f"the folder '{brief(str(folder), _LONGEST_PATH)}' does not exist either"
    files = _yaml_files(folder)
    named = "this folder" if str(folder) == "." else f"the folder '{brief(str(folder), _LONGEST_PATH)}'"
    if not files:
        return f"{named} contains no YAML file"
    shown = [brief(name) for name in files[:5]]
    names = listed(shown, "and") if len(files) == len(shown) else f"{', '.join(shown)}, ..."
    return f"{named} contains {names}"


def _yaml_files(folder: Path) -> list[str]:
    try:
        entries = [entry.name for entry in itertools.islice(folder.iterdir(), _MOST_ENTRIES)]
    except OSError:
        return []
    return sorted(name for name in entries if name.endswith(_SUFFIXES))


MAX_CHAIN = 8
"""Maximum number of files that extend each other in a chain."""
MAX_FILES = 16
"""Maximum number of files of one spec."""


def load_spec(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec file.

    Args:
        path: The file; errors name it exactly as it is passed here.
        overrides: Settings of the form `key.key=value` that take precedence over the file.
        seed: Takes precedence over the seed in the file.
        device: Takes precedence over the device in the file.

    Raises:
        SpecError: The spec is wrong. The message has one line for each mistake, at most 20.
    """
    named = os.fspath(path)
    return _validate(_SpecReader().file(Path(named), named), name_of(named), overrides, seed, device)


def parse_spec(
    text: str,
    source: str = "<text>",
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec from text.

    Args:
        text: Content of a spec file; files that it names are relative to the current folder.
        source: Name of the text in errors.
        overrides: As for `load_spec`.
        seed: As for `load_spec`.
        device: As for `load_spec`.

    Raises:
        SpecError: As `load_spec`.
    """
    return _validate(_SpecReader().text(text, source, Path()), name_of(source), overrides, seed, device)


def spec_in_block(
    block: Node,
    name: str,
    folder: Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Read a spec that is a block of another file, such as a study.

    Args:
        block: The block, a mapping.
        name: Name of the spec if the block has none.
        folder: Folder to which the files that it names are relative.
        overrides: As for `load_spec`.
        seed: As for `load_spec`.
        device: As for `load_spec`.

    Raises:
        SpecError: As `load_spec`.
    """
    return _validate(_SpecReader().block(block, folder), name, overrides, seed, device)


def _validate(document: Document, name: str, overrides: Sequence[str], seed: int | None, device: str | None) -> Spec:
    document, lines = _apply_overrides(document, overrides)
    for option, value in (("seed", seed), ("device", device)):
        if value is not None:
            document = document.with_value((option,), value, Place(f"--{option} {brief(str(value))}"))
    document = _with_absolute_plugins(document, Path())
    try:
        spec = Spec.model_validate({"name": name, **document.data}, context=document)
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, document, schema=Spec.model_json_schema(), earlier=lines))) from None
    if lines:
        raise SpecError("\n".join(lines))
    return spec


def _apply_overrides(document: Document, overrides: Sequence[str]) -> tuple[Document, list[str]]:
    """Return the document with all valid overrides applied, and one line for each invalid override."""
    lines = []
    for override in overrides:
        try:
            document = document.with_override(override)
        except SpecError as error:  # noqa: PERF203 - every mistake is reported
            lines.append(str(error))
    return document, lines


class _SpecReader:
    """Reads one spec from all its files, and counts files and nodes against the limits."""

    def __init__(self) -> None:
        self._files, self._nodes = MAX_FILES, MAX_NODES

    def file(self, path: Path, named: str, where: str = "", chain: tuple[Path, ...] = ()) -> Document:
        """Read a file and the files it extends."""
        self._files -= 1
        if self._files < 0:
            raise SpecError(f"{where}{brief(named)}: too many files; expected at most {MAX_FILES} for one spec")
        text = read_text(path, named, where)
        resolved = path.resolve()
        if resolved in chain:
            raise SpecError(f"{where}{brief(named)}: extends itself in a circle; remove this line")
        if len(chain) == MAX_CHAIN:
            raise SpecError(
                f"{where}{brief(named)}: too many files extend each other; expected at most {MAX_CHAIN} in a chain"
            )
        return self.text(text, str(path), path.parent, (*chain, resolved))

    def text(self, text: str, source: str, folder: Path, chain: tuple[Path, ...] = ()) -> Document:
        """Read a text and the files it extends."""
        return self.block(Document.parse(text, source, max_nodes=self._nodes).root, folder, chain)

    def block(self, root: Node, folder: Path, chain: tuple[Path, ...] = ()) -> Document:
        """Read a block of settings and the files it extends. The block takes precedence, then the later files."""
        self._nodes -= root.size
        layers = [self.file(folder / name, name, f"{place}: extends: ", chain) for place, name in _find_extended(root)]
        own = {key: entry for key, entry in root.entries.items() if key != "extends"}
        layers.append(_with_absolute_plugins(Document(Node(own, root.place)), folder))
        merged = layers[0]
        for layer in layers[1:]:
            merged = merged.merged(layer)
        return merged


def _find_extended(root: Node) -> list[tuple[Place, str]]:
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
    """Return the document with absolute paths of plugin files, which are relative to the file that names them."""
    entry = document.root.entries.get("plugins")
    if entry is None:
        return document
    items = [_make_absolute(item, folder) for item in entry.node.items]
    plugins = Entry(entry.key, Node(items, entry.node.place)) if items else entry
    return Document(Node({**document.root.entries, "plugins": plugins}, document.root.place))


def _make_absolute(item: Node, folder: Path) -> Node:
    if not isinstance(item.value, str) or not item.value:
        return item
    return Node(os.path.abspath(folder / item.value), item.place)  # noqa: PTH100 - resolve() would follow links
