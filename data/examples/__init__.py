"""Small problems that show how a problem is written."""
