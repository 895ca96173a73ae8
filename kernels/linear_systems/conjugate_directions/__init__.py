"""Conjugate directions from anywhere: flexible conjugate gradients, and a network that proposes the directions."""
