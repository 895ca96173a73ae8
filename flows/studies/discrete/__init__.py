"""Studies of the family discrete."""
