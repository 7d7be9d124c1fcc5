"""Passes that make prediction graphs faster."""
