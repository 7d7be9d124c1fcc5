"""Studies: many runs side by side, their plan, their execution, and what may be concluded from them."""

__all__: list[str] = []
