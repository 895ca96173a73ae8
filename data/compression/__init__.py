"""What models are made smaller or cheaper on: tokens of attention."""
