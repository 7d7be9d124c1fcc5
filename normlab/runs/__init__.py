"""The files of a run: write them safely, read them back, and list runs."""

__all__: list[str] = []
