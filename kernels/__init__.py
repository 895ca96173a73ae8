"""The algorithms: pure functions on arrays, one family a folder."""
