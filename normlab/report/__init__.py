"""Reports: the page of a study, its figures, and the plot of a run."""

__all__: list[str] = []
