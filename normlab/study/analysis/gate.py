"""The gate: only runs that differ in nothing but what is studied may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from normlab.errors import NotComparable, StorageError
from normlab.runs.files import read_bytes, read_json
from normlab.runs.history import History
from normlab.spec import Document, Place
from normlab.spec.values import in_line

#: Settings that decide nothing of what is measured, and the seed, over which runs are repeated.
NEVER = ("name", "description", "plugins", "device", "seed", "training.checkpoint_every")
#: What a run was computed with that may change its numbers or times.
_ENVIRONMENT = ("threads", "versions.normlab", "versions.mxnet")
_MOST_KEYS, _MOST_VALUES = 20, 3

_Found = dict[str, tuple[Any, Place]]
"""Values by dotted key, with their places."""


class Difference(NamedTuple):
    """A key in which runs differ.

    Attributes:
        key: Dotted, as in a spec; `environment....` for what stands in `environment.json`, `data` for the examples.
        values: Each value as YAML writes it, with the first place where it stands.
    """

    key: str
    values: tuple[tuple[str, Place], ...]

    def __str__(self) -> str:
        """The key and its values with their files and lines."""
        shown = [f"{value} ({place})" for value, place in self.values[:_MOST_VALUES]]
        rest = len(self.values) - len(shown)
        return f"{self.key}: {', '.join(shown)}{f' and {rest} more' if rest else ''}"


def gate(runs: Sequence[History], studied: Sequence[str], allowed: Sequence[str] = ()) -> list[str]:
    """Refuse runs that differ in more than what is studied.

    Args:
        runs: Stored runs.
        studied: The keys that differ on purpose, e.g. `norm`; each covers what is below it.
        allowed: Further keys in which they may differ, by the person's leave.

    Returns:
        A sentence for each allowed key in which they do differ, for the report.

    Raises:
        NotComparable: They differ in other keys; the message lists these with their files and lines.
        StorageError: A spec can't be read.
    """
    found = differences(runs, tuple(studied))
    refused = [difference for difference in found if not _covers(tuple(allowed), difference.key)]
    if not refused:
        return [f"by leave, runs differ in {difference}" for difference in found]
    count = f"{len(refused)} {'key' if len(refused) == 1 else 'keys'}"
    lines = [f"{len(runs)} runs: not comparable: they differ in {count} beside {', '.join(studied)}:"]
    lines += [f"  {difference}" for difference in refused[:_MOST_KEYS]]
    if len(refused) > _MOST_KEYS:
        lines.append(f"  ... and {len(refused) - _MOST_KEYS} more")
    lines.append(f"make them alike, or accept it: {' '.join(f'--allow {each.key}' for each in refused[:_MOST_KEYS])}")
    raise NotComparable("\n".join(lines))


def differences(runs: Sequence[History], studied: tuple[str, ...] = ()) -> list[Difference]:
    """The keys outside of `studied` in which runs differ, in the order of their specs."""
    told = [_told(run) for run in runs]
    keys = dict.fromkeys(key for each in told for key in each)
    beside = [key for key in keys if not _covers((*studied, *NEVER), key)]
    found = [Difference(key, _values(key, told)) for key in beside]
    found = [difference for difference in found if len(difference.values) > 1]
    # the parameters of two different parts differ as a matter of course
    others = tuple(each.key.removesuffix(".name") for each in found if each.key.endswith(".name"))
    return [each for each in found if each.key.endswith(".name") or not _covers(others, each.key)]


def _covers(keys: tuple[str, ...], key: str) -> bool:
    """Whether a dotted key is one of `keys`, or below one of them: `norm` covers `norm.epsilon`."""
    return any(key == each or key.startswith(f"{each}.") for each in keys)


def _values(key: str, told: Iterable[_Found]) -> tuple[tuple[str, Place], ...]:
    values: dict[str, tuple[str, Place]] = {}  # by what tells them apart, since writing all as YAML takes long
    for each in told:
        if key in each:
            value, place = each[key]
            if (known := repr(value)) not in values:
                values[known] = (in_line(value), place)
        elif not key.startswith("environment."):
            values.setdefault("", ("absent", next(iter(each.values()))[1]))
    return tuple(values.values())


def _told(run: History) -> _Found:
    if run.directory is None:
        raise StorageError(f"{run.name}: a history without the folder of its run; expected run directories")
    path = run.directory / "spec.yaml"
    document = Document.parse(read_bytes(path).decode("utf-8", "replace"), str(path))
    found = {key: (value, document.place(location)) for key, location, value in _leaves(document.data)}
    if run.result is not None and "data" in run.result.digests:
        found["data"] = (run.result.digests["data"], Place(str(run.directory / "result.json")))
    found.update(_environment(run.directory))
    return found


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    """Everything that is no mapping, and no list of mappings, by its dotted key and its path."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield ".".join(map(str, path)), path, value


def _environment(directory: Path) -> _Found:
    """What a run was computed with; empty if that is not told."""
    path = directory / "environment.json"
    if not path.exists():
        return {}
    content = read_json(path)
    found: dict[str, Any] = {key: _at(content, key) for key in _ENVIRONMENT}
    found.update({f"plugins.{file}": digest for file, digest in _plugins(content)})
    return {f"environment.{key}": (value, Place(str(path))) for key, value in found.items() if value is not None}


def _plugins(content: Any) -> Iterator[tuple[str, str]]:
    plugins = content.get("plugins") if isinstance(content, dict) else None
    for plugin in plugins if isinstance(plugins, list) else []:
        yield str(plugin.get("file")), str(plugin.get("sha256"))


def _at(content: Any, key: str) -> Any:
    for step in key.split("."):
        content = content.get(step) if isinstance(content, dict) else None
    return content
