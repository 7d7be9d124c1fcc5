"""The training loop and what it takes: batches, losses, schedules, augmentation, evaluation, keyed randomness."""

__all__: list[str] = []
