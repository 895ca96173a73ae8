"""Regression problems on which sketches and samples of rows differ."""
