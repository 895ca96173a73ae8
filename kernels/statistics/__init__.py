"""Methods of mathematical statistics."""
