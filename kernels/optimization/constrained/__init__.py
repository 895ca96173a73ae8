"""Methods for minimisation under equality constraints."""
