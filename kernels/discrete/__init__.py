"""Methods of discrete optimisation."""
