"""Low-rank adapters of attention layers: their gradients, exact and in near-linear time."""
