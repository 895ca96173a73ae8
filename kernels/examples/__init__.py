"""Small methods that show how a kernel is written."""
