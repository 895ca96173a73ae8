"""Samples from statistical models, and real ones."""
