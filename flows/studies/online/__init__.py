"""Studies of learning while working."""
