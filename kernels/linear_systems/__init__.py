"""Sequences of sparse linear systems: Krylov methods, recycling, preconditioners, orderings."""
