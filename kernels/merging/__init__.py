"""Merging of trained networks: permutations of hidden units that bring one network close to another."""
