"""Studies of smaller and cheaper models."""
