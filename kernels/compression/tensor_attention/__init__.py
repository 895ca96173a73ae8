"""Attention over tuples of tokens: exact, by polynomial features and by sampling."""
