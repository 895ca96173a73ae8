"""Papers on statistics."""
