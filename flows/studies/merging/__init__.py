"""Studies of merging trained networks."""
