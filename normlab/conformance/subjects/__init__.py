"""The subjects that checks run on: a method in a block, around an optimizer step, in a small network."""

__all__: list[str] = []
