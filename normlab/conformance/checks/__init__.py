"""The checks, by subject."""

__all__: list[str] = []
