"""Random sketches of tall matrices and row sampling: small problems that stand for large ones."""
