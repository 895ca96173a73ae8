"""Defaults that forms and the command line share; imports nothing, since --help must be immediate."""

TIME_LIMIT = 6 * 3600.0
"""Seconds that a contender may take on a shard."""
