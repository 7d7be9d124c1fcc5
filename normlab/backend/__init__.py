"""The only door to MXNet: its import, compiled graphs, devices and threads."""

__all__: list[str] = []
