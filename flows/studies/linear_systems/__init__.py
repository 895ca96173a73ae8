"""Studies of the family linear_systems."""
