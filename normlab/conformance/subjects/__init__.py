"""What checks look at."""
