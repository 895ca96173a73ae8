"""What the study of permutations measures."""
