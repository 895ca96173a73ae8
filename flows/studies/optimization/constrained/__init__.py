"""The parts of the study of sketched Newton methods for equality constraints."""
