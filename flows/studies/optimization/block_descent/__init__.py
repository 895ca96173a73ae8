"""The parts of the study of greedy block coordinate descent."""
