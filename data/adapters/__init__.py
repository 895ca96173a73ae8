"""Attention layers whose weights carry low-rank adapters."""
