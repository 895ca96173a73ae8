"""Optimal transport between discrete measures."""
