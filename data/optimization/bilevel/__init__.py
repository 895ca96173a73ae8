"""Stochastic bilevel problems: analytic ones with a known gradient, hyper-cleaning of digits, a recurrent network."""
