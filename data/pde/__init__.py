"""Discretised partial differential equations."""
