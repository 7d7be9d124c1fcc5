"""What a study asks."""

__all__: list[str] = []
