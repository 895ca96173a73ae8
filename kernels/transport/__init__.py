"""Optimal transport between discrete measures, most of it with entropic regularisation."""
