"""The figures of a report."""

__all__: list[str] = []
