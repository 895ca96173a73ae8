"""Low-rank matrices: completion from few entries."""
