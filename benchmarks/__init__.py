"""Side-by-side measurements; every ratio comes from one run."""
