"""Networks with sites for norms, and the surgery that replaces the norms of networks built elsewhere."""

__all__: list[str] = []
