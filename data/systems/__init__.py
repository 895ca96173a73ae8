"""Sequences of linear systems of your own, read one at a time from where they lie."""
