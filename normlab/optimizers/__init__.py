"""Optimizers, declared once each."""
