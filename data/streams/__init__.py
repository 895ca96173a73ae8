"""Streams of independent, related systems, on which methods learn from one to the next."""
