"""What follows from the runs of a study."""

__all__: list[str] = []
