"""Methods that make models smaller or cheaper to evaluate."""
