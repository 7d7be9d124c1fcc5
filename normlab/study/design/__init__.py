"""What a study asks."""
