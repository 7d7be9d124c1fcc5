"""The two built-in methods, which register through the same hooks as everybody's."""

__all__: list[str] = []
