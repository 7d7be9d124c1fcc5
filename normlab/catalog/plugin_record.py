"""What is known of a plugin: where it came from, what it brings, why it can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from normlab.errors import PluginBroken, PluginDuplicate, PluginError, PluginIncompatible, PluginMissing

#: The error that tells of a plugin of this status.
ERRORS: Mapping[str, type[PluginError]] = {
    "missing": PluginMissing,
    "broken": PluginBroken,
    "duplicate": PluginDuplicate,
    "incompatible": PluginIncompatible,
}

#: Characters of a reason or remark that are shown.
_LONGEST = 400


def one_line(text: str) -> str:
    """Foreign text as one line that can do a terminal no harm."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


@dataclass(frozen=True)
class PluginRecord:
    """One plugin module, usable or not.

    Attributes:
        name: Its module's name, or its file's path as the person wrote it.
        distribution: The distribution that brings it, or "".
        version: That distribution's version.
        file: Its file, or "" if there is none.
        hooks: The hooks that it implements.
        entries: What its hooks give, by hook.
        status: `ok`, `disabled`, `missing`, `broken`, `duplicate` or `incompatible`.
        reason: Why it can't be used, in one line.
        remark: What it does that a plugin should not, though it can be used; in one line.
        explicit: Whether the person named it, in a spec or on the command line.
        module: The imported module, if it can be used.
    """

    name: str
    distribution: str = ""
    version: str = ""
    file: str = ""
    hooks: tuple[str, ...] = ()
    entries: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, repr=False)
    status: str = "ok"
    reason: str = ""
    remark: str = ""
    explicit: bool = False
    module: Any = field(default=None, repr=False, compare=False)

    @property
    def brings(self) -> dict[str, tuple[str, ...]]:
        """The names of what its hooks give, by hook."""
        return {hook: tuple(entry.name for entry in entries) for hook, entries in self.entries.items()}

    @property
    def unusable(self) -> bool:
        """Whether something is wrong with it; a plugin that is switched off is not wrong."""
        return self.status not in {"ok", "disabled"}

    @property
    def origin(self) -> str:
        """Its distribution with version, or its file."""
        return " ".join(filter(None, [self.distribution, self.version])) or self.file or self.name

    @property
    def told(self) -> str:
        """Which plugin it is and what is wrong with it, in one line."""
        origin = f" ({self.origin})" if self.distribution else ""
        return f"plugin {self.name}{origin}: {self.reason}"

    def failed(self, status: str, reason: str) -> PluginRecord:
        """The same plugin, found unusable."""
        return replace(self, status=status, reason=one_line(reason), module=None)

    def remarked(self, remarks: list[str]) -> PluginRecord:
        """The same plugin with remarks added."""
        return replace(self, remark=one_line("; ".join(filter(None, [self.remark, *remarks]))))

    def error(self, message: str) -> PluginError:
        """The error that tells of it."""
        return ERRORS.get(self.status, PluginBroken)(message)
