"""How the runs of a study are trained."""

__all__: list[str] = []
