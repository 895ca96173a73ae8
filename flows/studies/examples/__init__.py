"""Studies of the family examples."""
