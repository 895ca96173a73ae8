"""Studies of the family transport."""
