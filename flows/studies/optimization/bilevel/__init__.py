"""What the studies of stochastic bilevel methods share."""
