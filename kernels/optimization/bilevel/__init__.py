"""Stochastic bilevel optimization: upper variables judged at the solution of one or many lower-level problems."""
