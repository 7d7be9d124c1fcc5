"""What a run leaves on disk, and how it is read back."""

__all__: list[str] = []
