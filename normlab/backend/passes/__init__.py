"""Rewrites of inference graphs that make them faster; `pipeline` is the entry."""

__all__: list[str] = []
