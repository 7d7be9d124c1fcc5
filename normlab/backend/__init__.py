"""The only door to MXNet: its import, compiled graphs, devices and threads; import from the modules."""

__all__: list[str] = []
