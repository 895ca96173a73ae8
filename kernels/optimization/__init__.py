"""Methods of optimization."""
