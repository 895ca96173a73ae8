"""Studies of methods of optimization."""
