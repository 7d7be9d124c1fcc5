"""Networks, the places in them where norms act, and the surgery that makes such places in networks built elsewhere."""

__all__: list[str] = []
