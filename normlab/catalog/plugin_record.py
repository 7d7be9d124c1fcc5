"""The record of a plugin: where it comes from, what it registers, and why it can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from normlab.errors import PluginBroken, PluginDuplicate, PluginError, PluginIncompatible, PluginMissing

#: The error for each status of an unusable plugin.
ERRORS: Mapping[str, type[PluginError]] = {
    "missing": PluginMissing,
    "broken": PluginBroken,
    "duplicate": PluginDuplicate,
    "incompatible": PluginIncompatible,
}

#: Maximum number of characters of a reason or remark.
_LONGEST = 400


def one_line(text: str) -> str:
    """Return text of a plugin as one line without control characters."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


@dataclass(frozen=True)
class PluginRecord:
    """One plugin module, usable or not.

    Attributes:
        name: Name of its module, or path of its file as the user wrote it.
        distribution: The distribution that contains it, or "".
        version: Version of the distribution.
        file: Its file, or "" if there is none.
        hooks: The hooks that it implements.
        entries: The entries that its hooks yield, by hook.
        status: `ok`, `disabled`, `missing`, `broken`, `duplicate` or `incompatible`.
        reason: Why it can't be used, on one line.
        remark: Side effects that a plugin should not have, on one line; the plugin can be used nevertheless.
        explicit: Whether the user named it, in a spec or on the command line.
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
        """The names of its entries, by hook."""
        return {hook: tuple(entry.name for entry in entries) for hook, entries in self.entries.items()}

    @property
    def unusable(self) -> bool:
        """Whether it has an error; a disabled plugin has none."""
        return self.status not in {"ok", "disabled"}

    @property
    def origin(self) -> str:
        """Its distribution with version, or its file."""
        return " ".join(filter(None, [self.distribution, self.version])) or self.file or self.name

    @property
    def told(self) -> str:
        """The plugin and the reason why it can't be used, on one line."""
        origin = f" ({self.origin})" if self.distribution else ""
        return f"plugin {self.name}{origin}: {self.reason}"

    def failed(self, status: str, reason: str) -> PluginRecord:
        """Return a copy with this status and reason."""
        return replace(self, status=status, reason=one_line(reason), module=None)

    def remarked(self, remarks: list[str]) -> PluginRecord:
        """Return a copy with these remarks added."""
        return replace(self, remark=one_line("; ".join(filter(None, [self.remark, *remarks]))))

    def error(self, message: str) -> PluginError:
        """Return the error for its status."""
        return ERRORS.get(self.status, PluginBroken)(message)
