"""Problems: validated parameters from which any instance can be made, anywhere, with the same bytes."""
