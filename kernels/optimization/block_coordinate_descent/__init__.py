"""Greedy block coordinate descent: blocks, rules and updates, forests by message passing, bounded problems."""
