"""Groups of independently trained networks, which are to be merged."""
