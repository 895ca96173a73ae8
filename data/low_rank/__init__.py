"""Low-rank matrices and what is observed of them."""
