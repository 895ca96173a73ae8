"""Studies of low-rank adapters."""
