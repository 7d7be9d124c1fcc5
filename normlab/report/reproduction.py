"""What a reader needs to run a study again: specs, seeds, versions, and which runs gave the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.runs.files import read_bytes, read_json
from normlab.runs.history import History

if TYPE_CHECKING:
    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row

_DIGITS = 12
#: What is told of the environment of the runs, in this order.
_FACTS = ("python", "platform", "processor", "processors", "threads", "devices", "commit")


def reproduction(comparison: Comparison) -> dict[str, Any]:
    """The arms with their specs and runs, the environments of all runs, the files that their parts came from."""
    told = [_told(run) for row in comparison.rows for run in row.arm.runs]
    return {
        "arms": [_arm(row) for row in comparison.rows],
        "environments": _environments(told),
        "plugins": _plugins(told),
    }


def _arm(row: Row) -> dict[str, Any]:
    first = next((run for run in row.arm.runs if run.directory is not None), None)
    return {
        "label": row.label,
        "spec": _text(first, "spec.yaml") if first else "",
        "seeds": ", ".join(str(run.seed) for run in row.arm.runs),
        "seed": first.seed if first else None,
        "runs": [_run(run) for run in row.arm.runs],
    }


def _run(run: History) -> dict[str, Any]:
    result = run.result
    return {
        "seed": run.seed,
        # the last two names: the rest depends on where the runs are kept
        "directory": "/".join(run.directory.resolve().parts[-2:]) if run.directory else "",
        "status": result.status if result else "",
        "identity": run.header.spec[:_DIGITS],
        "parameters": (result.parameters_digest or "")[:_DIGITS] if result else "",
    }


def _told(run: History) -> dict[str, Any]:
    path = run.directory / "environment.json" if run.directory else None
    told: dict[str, Any] = read_json(path) if path and path.exists() else {}
    return told


def _environments(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The different environments, each with the number of runs that it had."""
    found: dict[str, dict[str, Any]] = {}
    for one in filter(None, told):
        facts = {name: _plain(one[name]) for name in _FACTS if one.get(name)}
        facts.update({name: version for name, version in one.get("versions", {}).items() if version})
        found.setdefault(repr(facts), {"facts": facts, "runs": 0})["runs"] += 1
    return list(found.values())


def _plugins(told: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The files that the parts came from, each version of them once."""
    found = {}
    for one in told:
        for plugin in one.get("plugins", ()):
            name = "/".join(plugin["file"].replace("\\", "/").split("/")[-2:])
            source = f"{plugin['distribution']} {plugin['version']}".strip()
            found[name, plugin["sha256"]] = {"file": name, "source": source, "sha256": plugin["sha256"][:_DIGITS]}
    return [found[key] for key in sorted(found)]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(run: History, name: str) -> str:
    path = run.directory / name if run.directory else None
    return read_bytes(path).decode("utf-8", "replace") if path and path.exists() else ""
