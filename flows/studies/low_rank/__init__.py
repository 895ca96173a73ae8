"""Studies of the family low_rank."""
